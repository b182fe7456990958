"""What the pages read from the books: one module each, bounded by rollups or by ranges of ids."""
