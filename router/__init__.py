"""The Tierwise chat backend."""
