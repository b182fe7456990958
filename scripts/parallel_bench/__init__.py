"""Replays recorded samples through the parallel tier; see docs/parallel-tier.md, which it writes."""
