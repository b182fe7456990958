"""Which known name was meant by one that nobody knows."""

from collections.abc import Iterable
from difflib import get_close_matches

ALIKE = 0.7  # of 1: two letters changed places, or one is missing, in a word of five


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like this one; None where none is like it."""
    found = get_close_matches(name, list(known), n=1, cutoff=ALIKE)
    return found[0] if found else None
