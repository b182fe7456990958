"""/v1/responses: what comes in, what goes out, and what is stored."""
