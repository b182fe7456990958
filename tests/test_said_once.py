"""What one constant says, no other says again: a name with the same value in two modules is one constant too many.

What begins with an underscore is a module's own.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import classifier
import router

PACKAGES = (router, classifier)


def constants(path: Path) -> Iterator[tuple[str, str]]:
    """The constants of a module and what they are set to, as written."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=value) if _is_public(name):
                yield name, ast.dump(value)
            case ast.Assign(targets=[ast.Tuple(names)], value=ast.Tuple(values)):
                for target, value in zip(names, values, strict=True):
                    if isinstance(target, ast.Name) and _is_public(target.id):
                        yield target.id, ast.dump(value)


def _is_public(name: str) -> bool:
    return name.isupper() and not name.startswith("_")


def test_no_constant_is_set_twice_to_the_same() -> None:
    places = defaultdict(list)
    for package in PACKAGES:
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            for constant in constants(path):
                places[constant].append(path.name)
    assert {name: where for (name, _), where in places.items() if len(where) > 1} == {}
