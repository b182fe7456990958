"""In which line of a TOML text a key is set: the parser says what is set, and not where."""

import tomllib
from collections.abc import Sequence
from typing import Any


def line_of(text: str, keys: Sequence[str | int]) -> int | None:
    """Tell in which line of a TOML text a key is set, or else its table, counted from 1; None where neither is."""
    path = names_of(keys)
    lines = text.split("\n")
    while path:
        for number, line in enumerate(lines):
            if path[-1] in line and _begins_in(lines, number, path):
                return number + 1
        path = path[:-1]
    return None


def names_of(keys: Sequence[str | int]) -> tuple[str, ...]:
    """The keys down to the first place in a list."""
    names: list[str] = []
    for key in keys:
        if not isinstance(key, str) or key == "[key]":
            break
        names.append(key)
    return tuple(names)


def _begins_in(lines: Sequence[str], number: int, path: Sequence[str]) -> bool:
    """Tell whether what is set by this line, and by those that belong to its value, is the key."""
    if _is_set(lines[:number], path) is not False:
        return False  # set before, or this line is within a value
    for end in range(number + 1, len(lines) + 1):
        if (found := _is_set(lines[:end], path)) is not None:
            return found
    return False


def _is_set(lines: Sequence[str], path: Sequence[str]) -> bool | None:
    """Tell whether these lines set a key; None where they are no TOML by themselves."""
    try:
        found: Any = tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return None
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return False
        found = found[key]
    return True
