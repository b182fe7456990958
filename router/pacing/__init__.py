"""One multiplier per segment holds a margin or a budget; what a single query earns is not known here."""
