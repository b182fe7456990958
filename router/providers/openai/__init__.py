"""Providers that speak the dialect of OpenAI, over one shared session."""
