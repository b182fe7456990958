"""The books: what each query cost and what it is expected to earn."""
