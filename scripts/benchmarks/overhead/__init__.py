"""What a request costs in CPU, as a ratio to a bare pass-through."""
