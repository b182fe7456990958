"""Write docs/reference/ from the code (settings, commands, HTTP), or fail with --check where it has drifted.

Run with `.venv/bin/python -m scripts.reference [--check]`.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from router.app import HTTP_ROUTES
from router.cli import app
from router.decision.policy import DIALS, SEGMENT_DIALS, Dial
from router.reports.reference import tables
from router.settings import ENV_PREFIX, Settings

DOCS = Path(__file__).parent.parent / "docs"
MADE = "<!-- made by `python -m scripts.reference`; do not edit -->\n"


def settings_page() -> str:
    """List every key of the configuration file with its variable, type and default."""
    rows = ["| key | environment | default | meaning |", "| --- | --- | --- | --- |"]
    for path, name, field in _fields(Settings, ""):
        key, variable = path + name, ENV_PREFIX + (path + name).replace(".", "__").upper()
        shown = f"`{variable}`" if "NAME" not in path else "as JSON in its table's variable"
        rows.append(f"| `{key}` | {shown} | {_default(field)} | {field.description or ''} |")
    intro = (
        "These are the keys of `tierwise.toml`. Every key can also be set in the environment, which overrides the "
        "file; tables whose keys are names of your own are given there as JSON. A wrong or unknown key stops the "
        "start with an error that names it.\n"
    )
    return f"{MADE}# Settings\n\n{intro}\n" + "\n".join(rows) + f"\n\n{dials_section()}"


def dials_section() -> str:
    """List every dial of the policy with what it may be."""
    rows = ["| dial | may be | unit | default | of a segment | meaning |", "| --- | --- | --- | --- | --- | --- |"]
    for dial in DIALS.values():
        meaning = f"{dial.help}; unset: {dial.unset}" if dial.unset else dial.help
        of_segment = "yes" if dial.name in SEGMENT_DIALS else ""
        rows.append(
            f"| `{dial.name}` | {dial.allowed} | {dial.unit} | {_dial_default(dial)} | {of_segment} | {meaning} |"
        )
    intro = (
        "Dials are set by `[policy]` in the file, by `tierwise policy propose --set DIAL=VALUE` and on the page "
        "Thresholds; `none` unsets a dial that is unset by default. A segment may have some of its own, as "
        "`segments.NAME.DIAL`.\n"
    )
    return f"## Dials\n\n{intro}\n" + "\n".join(rows) + "\n"


def commands_page() -> str:
    """Show the help of every command."""
    sections = [f"## `{name}`\n\n{body}" for name, body in _commands(typer.main.get_command(app), "tierwise")]
    return f"{MADE}# Commands\n\n" + "\n\n".join(sections) + "\n"


def http_page() -> str:
    """List the routes."""
    rows = ["| method | path | key scope | what it does |", "| --- | --- | --- | --- |"]
    rows += [f"| {r.method} | `{r.path}` | {r.scope} | {r.summary} |" for r in HTTP_ROUTES]
    return f"{MADE}# HTTP\n\n" + "\n".join(rows) + "\n"


def _fields(model: type[BaseModel], path: str) -> Iterator[tuple[str, str, FieldInfo]]:
    for name, field in model.model_fields.items():
        table = _table_in(field.annotation)
        if table is None:
            yield path, name, field
        elif get_origin(field.annotation) is dict:
            yield from _fields(table, f"{path}{name}.NAME.")
        else:
            yield from _fields(table, f"{path}{name}.")


def _table_in(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None:
        return "unset"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{value}`"


def _dial_default(dial: Dial) -> str:
    default = "unset" if dial.default is None else f"`{dial.default}`"
    return default if dial.stored_default is None else f"{default}; `{dial.stored_default}` in versions from before it"


def _commands(command: Any, name: str) -> Iterator[tuple[str, str]]:
    subcommands = getattr(command, "commands", None)
    if subcommands is not None:
        for child, sub in sorted(subcommands.items()):
            yield from _commands(sub, f"{name} {child}")
        return
    lines = [(command.help or "").strip(), ""]
    for parameter in command.params:
        if parameter.name == "help":
            continue
        spelled = ", ".join(parameter.opts) if parameter.param_type_name == "option" else parameter.name.upper()
        lines.append(f"- `{spelled}`: {getattr(parameter, 'help', None) or ''}".rstrip(": "))
    yield name, "\n".join(lines).strip()


def reports_page() -> str:
    """Return docs/reports.md with its tables as the code has them: each stands where one with the same head stood."""
    page = (DOCS / "reports.md").read_text()
    for table in tables().values():
        [stood] = re.findall(rf"^{re.escape(table.splitlines()[0])}\n(?:\|.*\n)+", page, re.MULTILINE)
        page = page.replace(stood, f"{table}\n")
    return page


PAGES = {
    "reference/settings.md": settings_page,
    "reference/commands.md": commands_page,
    "reference/http.md": http_page,
    "reports.md": reports_page,
}


def main() -> int:
    """Write the pages, or tell which of them have drifted."""
    drifted = []
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            drifted.append(f"docs/{name}")
    if drifted:
        sys.stderr.write(f"drifted: {', '.join(drifted)}; run .venv/bin/python -m scripts.reference\n")
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(main())
