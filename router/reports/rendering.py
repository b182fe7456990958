"""HTML by templates of a room: everything is escaped, and jinja2 is imported when the first is written."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **context: object) -> str:
    """Fill a template of reports; what it names and is not given raises UndefinedError."""
    return environment_of("router.reports", ".").get_template(template).render(**context)


@cache
def environment_of(package: str, folder: str = "templates") -> "Environment":
    """Return the templates in a folder of a package, one environment for each: its room adds filters of its own."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
