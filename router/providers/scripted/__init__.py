"""A double of a provider for tests, demonstrations and load."""
