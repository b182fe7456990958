"""The pages for browsers: every address of the data plane with what it takes, and what was wrong with a request.

No script, no file from anywhere else: one style, which the content security policy names by its digest. All that is
written into a page is escaped.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from router.api.guide.document import make_document
from router.api.routes import ROUTES, HttpRoute

if TYPE_CHECKING:
    from jinja2 import Environment

LONGEST_CHOICE = 8  # values that a field's row names


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One key of a body."""

    name: str
    kind: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class RouteSection:
    """One route as its section shows it."""

    route: HttpRoute
    anchor: str
    fields: Sequence[FieldRow]


@cache
def docs_page() -> bytes:
    """The page at `/docs`; made when it is first asked for."""
    return _render("docs.html", sections=[_section(route) for route in ROUTES])


def error_page(status: int, message: str) -> bytes:
    """A page that says what was wrong with a request."""
    return _render("error.html", status=status, message=message)


@cache
def page_headers() -> Mapping[str, str]:
    """What seals a page: its own style and nothing else, within no frame, kept by no cache."""
    style = b64encode(sha256(_style().encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"
    return {
        "content-security-policy": f"{policy}; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "vary": "accept",
    }


def _section(route: HttpRoute) -> RouteSection:
    operation = _document()["paths"][route.path][route.method.lower()]
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return RouteSection(route, operation["operationId"], _fields(schema))


@cache
def _document() -> dict[str, Any]:
    return make_document()


def _fields(schema: Mapping[str, Any]) -> list[FieldRow]:
    """List the keys of a body, the required ones first."""
    schema = _resolve(schema)
    if "anyOf" in schema:
        schema = _resolve(schema["anyOf"][0])
    required = schema.get("required", ())
    rows = [FieldRow(name, _kind(of), name in required) for name, of in schema.get("properties", {}).items()]
    return sorted(rows, key=lambda row: not row.is_required)


def _resolve(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: Mapping[str, Any] = _document()["components"]["schemas"][name] if name else schema
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    """Say in a few words what a key holds."""
    schema = _resolve(schema)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema:
        values = [str(value) for value in schema["enum"] if value is not None]
        return ", ".join(values[:LONGEST_CHOICE])
    least, most = schema.get("minimum"), schema.get("maximum")
    limits = f" from {least:,} to {most:,}" if least is not None and most is not None else ""
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if schema.get("items") else "list"
    return f"{schema.get('type', 'any')}{limits}"


def _render(template: str, **context: object) -> bytes:
    return _environment().get_template(template).render(style=_style(), **context).encode()


@cache
def _style() -> str:
    return files("router.api.guide").joinpath("page.css").read_text("utf-8")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    own = files("router.api.guide")
    environment = Environment(
        loader=FunctionLoader(lambda name: own.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unescaped"] = Markup  # of our own style only
    return environment
