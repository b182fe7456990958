"""Several replicas on one PostgreSQL behind nginx, with Redis, on this machine: what they lose when things fail."""
