"""What is wrong with the value of a key, or with its name, from what pydantic says of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from router.mistakes.lines import names_of
from router.mistakes.names import closest

FEW_NAMES = 8  # that are all named where none is alike
WANTED = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text in quotes",
    "tuple": "a list in brackets",
    "list": "a list in brackets",
    "frozenset": "a list in brackets",
    "model": "a table",
    "dict": "a table",
    "path": "a path in quotes",
}  # by the first word of pydantic's type of error


def path_of(root: type[BaseModel], loc: Sequence[str | int]) -> tuple[str, ...]:
    """Return the keys that a place of pydantic's names, without its own words for places in lists and in unions."""
    table: type[BaseModel] | None = root
    path: list[str] = []
    names = iter(names_of(loc))
    for name in names:
        path.append(name)
        field = table.model_fields.get(name) if table else None
        table = None if field is None else table_of(field)
        if field is not None and _is_of_names(field):
            path.extend(tuple(names)[:1] if table is None else [next(names, "")])
        if table is None:
            break
    return tuple(filter(None, path))


def describe(error: Mapping[str, Any], root: type[BaseModel]) -> str:
    """Say what is wrong with a key of `root`, as pydantic found it, without the key's name and without its value."""
    kind, keys = str(error["type"]), path_of(root, error["loc"])
    limits = error.get("ctx", {})
    match kind:
        case "extra_forbidden":
            return f"unknown key{_suggest_key(root, keys)}"
        case "missing":
            return f"is missing{_meaning(root, keys)}"
        case "greater_than_equal":
            return f"at least {limits['ge']} is wanted"
        case "greater_than":
            return f"more than {limits['gt']} is wanted"
        case "less_than_equal":
            return f"at most {limits['le']} is wanted"
        case "less_than":
            return f"less than {limits['lt']} is wanted"
        case "literal_error" | "enum":
            return f"one of these is wanted: {limits['expected']}"
        case "string_pattern_mismatch":
            return f"this is of another form than wanted{_meaning(root, keys)}"
    wanted = WANTED.get(kind.partition("_")[0])
    if wanted is not None and kind.endswith(("_type", "_parsing", "_number", "_from_float")):
        return f"{wanted} is wanted"
    return str(error["msg"]).removeprefix("Value error, ")


def _suggest_key(root: type[BaseModel], keys: Sequence[str]) -> str:
    """Ask whether a known key was meant: one like it in the same table, or the same name in the only other table."""
    above, name = keys[:-1], keys[-1]
    beside = _table_at(root, above)
    if beside is None:
        return ""
    if (found := closest(name, beside.model_fields)) is not None:
        return f"; did you mean {'.'.join((*above, found))}?"
    if len(beside.model_fields) <= FEW_NAMES:
        return f"; there are {', '.join(sorted(beside.model_fields))}"
    elsewhere = [path for path in _paths_of(root, "") if path.endswith(f".{name}")]
    return f"; did you mean {elsewhere[0]}?" if len(elsewhere) == 1 else ""


def _meaning(root: type[BaseModel], keys: Sequence[str]) -> str:
    """What a key is for, to stand behind what is wrong with it."""
    table = _table_at(root, keys[:-1]) if keys else None
    field = table.model_fields.get(keys[-1]) if table else None
    return f" ({field.description})" if field is not None and field.description else ""


def _table_at(root: type[BaseModel], keys: Sequence[str]) -> type[BaseModel] | None:
    """Follow keys to the table that they lead to; None where they lead to none."""
    table: type[BaseModel] | None = root
    rest = list(keys)
    while rest and table is not None:
        field = table.model_fields.get(rest.pop(0))
        table = None if field is None else table_of(field)
        if field is not None and _is_of_names(field):
            rest = rest[1:]
    return table


def _is_of_names(field: FieldInfo) -> bool:
    """Tell whether the keys below a key are names of the operator's own."""
    return get_origin(field.annotation) is dict


def _paths_of(table: type[BaseModel], above: str) -> Iterator[str]:
    for name, field in table.model_fields.items():
        yield f"{above}{name}"
        inner = table_of(field)
        if inner is not None and not _is_of_names(field):
            yield from _paths_of(inner, f"{above}{name}.")


def table_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the table that a key holds, or that each of its names holds; None for a key with a plain value."""
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
