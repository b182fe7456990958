"""Faults made on purpose against a served instance, and the books held against the provider's own tally."""
