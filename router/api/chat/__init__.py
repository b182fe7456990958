"""POST /v1/chat/completions: what comes in, and what goes out."""
