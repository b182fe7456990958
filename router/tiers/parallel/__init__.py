"""Samples in waves, a vote, an early stop, an escalation."""
