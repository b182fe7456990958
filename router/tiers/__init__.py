"""The three ways of answering: fast, reasoning, parallel."""
