"""Quotes of background jobs held against recorded work."""
