"""Everything else, through litellm; the only package that imports it."""
