"""What a sample answers, and whether two samples agree."""
