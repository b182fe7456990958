"""Everything that measures, and writes a page of docs/."""
