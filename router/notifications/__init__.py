"""Alerts: what is wrong, said once a period over all workers, and delivered at least once. Off the request path."""
