"""The model that comes along: small, local, and only there to prove the path."""
