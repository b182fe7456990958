"""Small instances of a JSON schema, with values picked out of a text where it offers some. Deterministic and pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

DEEPEST = 8  # recursive schemas end here where they may
LARGEST = 10_000  # items or letters that a schema may demand


class Impossible(ValueError):
    """No instance of this schema can be made here."""


FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "12345678-1234-4234-8234-123456789abc",
}


class Instances:
    """Fills in schemas; numbers and quoted words of `text` are used up in their order."""

    def __init__(self, text: str = "") -> None:
        self._text = text
        self._numbers: Iterator[str] = iter(re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", text))
        self._names: Iterator[str] = iter(_names(text))

    def of(self, schema: Any) -> Any:
        """Return an instance of a schema (a mapping, or True); raises Impossible."""
        try:
            return self._value(schema, schema if isinstance(schema, Mapping) else {}, "", 0)
        except (TypeError, ValueError, AttributeError, LookupError, RecursionError, OverflowError, re.error) as error:
            raise Impossible("the schema makes no sense") from error

    def _value(self, schema: Any, root: Mapping[str, Any], name: str, depth: int) -> Any:
        if not isinstance(schema, Mapping):
            return "ok"
        schema = _resolve(schema, root)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return next((value for value in schema["enum"] if self._names_it(value)), schema["enum"][0])
        for key in ("anyOf", "oneOf"):
            if schema.get(key):
                options = [_resolve(option, root) for option in schema[key] if isinstance(option, Mapping)]
                wanted = [option for option in options if option.get("type") != "null"]
                is_deep = depth >= DEEPEST and len(wanted) < len(options)
                return None if is_deep or not wanted else self._value(wanted[0], root, name, depth)
        return self._of_type(schema, root, name, depth)

    def _names_it(self, value: Any) -> bool:
        is_text = isinstance(value, str)
        return is_text and re.search(rf"(?i)\b{re.escape(value)}\b", self._text) is not None

    def _of_type(self, schema: Mapping[str, Any], root: Mapping[str, Any], name: str, depth: int) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind is None:
            kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
        match kind:
            case "object":
                return self._object(schema, root, depth)
            case "array":
                return self._array(schema, root, name, depth)
            case "integer":
                return int(_clamp(float(next(self._numbers, "1")), schema, step=1))
            case "number":
                return _clamp(float(next(self._numbers, "1")), schema)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._string(schema, name)

    def _object(self, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = schema.get("required", [])
        if not all(isinstance(key, str) for key in required):
            raise TypeError("a key that is no text")
        return {key: self._value(properties.get(key, True), root, key, depth + 1) for key in required}

    def _array(self, schema: Mapping[str, Any], root: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        fixed = [self._value(item, root, name, depth + 1) for item in schema.get("prefixItems") or ()]
        least = _read_size(schema, "minItems", 0 if depth >= DEEPEST else 1)
        most = schema.get("maxItems", max(least, 1))
        while len(fixed) < min(max(least, 1 if depth < DEEPEST else 0), most):
            fixed.append(self._value(schema.get("items", True), root, name, depth + 1))
        return fixed

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        if schema.get("format") in FORMATS:
            return FORMATS[schema["format"]]
        if "pattern" in schema:
            return _matching(schema["pattern"])
        text = next(self._names, None) or f"{name or 'some'} text".replace("_", " ")
        least, most = _read_size(schema, "minLength", 0), schema.get("maxLength")
        return text.ljust(least, ".")[:most]


def _read_size(schema: Mapping[str, Any], key: str, otherwise: int) -> int:
    size = int(schema.get(key, otherwise))
    if size > LARGEST:
        raise Impossible(f"{key} is too large")
    return size


def _resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references and join what `allOf` says."""
    seen = 0
    while isinstance(reference := schema.get("$ref"), str) and seen < DEEPEST:
        target: Any = root
        for key in reference.lstrip("#/").split("/") if reference != "#" else ():
            target = target.get(key.replace("~1", "/").replace("~0", "~"), {})
        schema, seen = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}, seen + 1
    for part in schema.get("allOf") or ():
        part = _resolve(part, root)
        properties = {**(schema.get("properties") or {}), **(part.get("properties") or {})}
        required = [*schema.get("required", []), *part.get("required", [])]
        schema = {**part, **{k: v for k, v in schema.items() if k != "allOf"}}
        if properties:
            schema = {**schema, "properties": properties, "required": required}
    return schema


def _clamp(value: float, schema: Mapping[str, Any], step: float = 0) -> float:
    """Move a number into its bounds."""
    gap = step or 0.5
    lowest = max(schema.get("minimum", float("-inf")), schema.get("exclusiveMinimum", float("-inf")) + gap)
    highest = min(schema.get("maximum", float("inf")), schema.get("exclusiveMaximum", float("inf")) - gap)
    value = min(max(value, lowest), highest)
    if multiple := schema.get("multipleOf"):
        value = multiple * round(value / multiple)
        value = value if value >= lowest else value + multiple
    return value


def _names(text: str) -> list[str]:
    """Find quoted words, else names within a sentence."""
    quoted = re.findall(r"[\"“]([^\"”]{1,60})[\"”]|(?<!\w)'([^']{1,60})'(?!\w)", text)
    names = re.findall(r"(?<=[a-z] )[A-Z]\w+(?:[ ,]+[A-Z]\w+)*", text)
    return [first or second for first, second in quoted] or names


def _matching(pattern: str) -> str:
    """Make a string for the commonest patterns: letters, digits and classes with counts."""
    made = []
    for unit, least in re.findall(r"(\\d|\\w|\[[^\]]+\]|\\?.)(?:\{(\d+)[^}]*\}|[+*?])?", pattern.strip("^$")):
        made.append(_letter(unit) * int(least or 1))
    text = "".join(made)
    return text if re.search(pattern, text) else "text"


def _letter(unit: str) -> str:
    match unit:
        case r"\d":
            return "1"
        case r"\w" | ".":
            return "a"
        case _ if unit.startswith("["):
            return unit[1:3][-1] if unit[1] in "\\" else unit[1]
        case _:
            return unit[-1]
