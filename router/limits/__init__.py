"""What a key or a person may do at once and in a minute. Knows no HTTP and no database."""
