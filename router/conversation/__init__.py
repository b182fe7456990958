"""What the words of a conversation say, by rules alone; it has no model, clock or store, and knows no tiers."""
