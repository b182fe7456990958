"""Reports: what the books say, as rows. Only reads."""
