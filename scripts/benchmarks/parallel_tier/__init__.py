"""Replays recorded samples through the parallel tier; see docs/measured/parallel-tier.md, which it writes."""
