"""`scripts/evaluate`: routing quality with its controls, and docs/measured/routing-quality.md."""
