"""Estimates how much thinking a query needs."""
