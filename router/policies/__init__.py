"""Versions of the policy in the database and their life: it does not judge whether a canary is good."""
