"""Checks of `deploy/`: what registries offer to lint it, and what its files and ours must say alike."""
