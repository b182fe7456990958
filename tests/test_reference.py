"""Docs that drift from the code fail here."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from router.app import HTTP_ROUTES, create
from router.cli import app
from router.settings import Settings
from scripts.reference import DOCS, PAGES, settings_page

ROOT = Path(__file__).parent.parent
PAGES_BY_HAND = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
# Decisions tell of the files of their time.
PAGES_OF_TODAY = [page for page in PAGES_BY_HAND if page.parent.name != "decisions"]
PATH = re.compile(r"`((?:[\w.-]+/)*\w+\.py|(?:router|classifier|scripts|tests|docs|migrations)/[\w/]*)`")
MADE_BY_A_RECIPE = re.compile(r"/duels\.|/NAME/")
DEFINED = re.compile(r"`(?:\w+\.)?(\w+)` in `([\w/]+\.py)`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
COMMAND = re.compile(r"(?:^|[`/])tierwise ((?:[a-z]+ ?)+)", re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run .venv/bin/python -m scripts.reference"


def test_every_setting_has_a_description() -> None:
    rows = [line for line in settings_page().splitlines() if line.startswith("| `")]
    assert rows
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_route_is_in_the_reference(tmp_path: Path) -> None:
    served = create(Settings(database_url=f"sqlite:///{tmp_path}/books.db", state_dir=tmp_path), {})
    routes = {
        (method, re.sub(r":\w+}", "}", route.path))  # type: ignore[attr-defined]
        for route in served.routes
        if not route.path.startswith("/admin")  # type: ignore[attr-defined]
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    pages = ("/admin", "/chat")  # of which the reference names what people and other programs may call
    documented = {(route.method, route.path) for route in HTTP_ROUTES if not route.path.startswith(pages)}
    assert routes == documented


@pytest.mark.parametrize("page", PAGES_BY_HAND, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


def missing_paths(text: str) -> Iterator[str]:
    """Paths that are not there; a bare name is one of a file beside the last path of the same line."""
    for line in text.splitlines():
        beside = ROOT
        for name in PATH.findall(line):
            if MADE_BY_A_RECIPE.search(name):
                continue
            path = next((at for at in (ROOT / name, beside / name) if at.exists()), None)
            if path is None:
                yield name
            elif "/" in name:
                beside = path if path.is_dir() else path.parent


@pytest.mark.parametrize("page", PAGES_OF_TODAY, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_are_there(page: Path) -> None:
    assert list(missing_paths(page.read_text())) == []


@pytest.mark.parametrize("page", PAGES_OF_TODAY, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_said_to_be_in_a_file_is_in_it(page: Path) -> None:
    for name, path in DEFINED.findall(page.read_text()):
        assert re.search(rf"^\s*(?:async def|def|class) {name}\b|^{name}\b", (ROOT / path).read_text(), re.MULTILINE), (
            name
        )


def test_every_room_has_a_row_in_the_index() -> None:
    rooms = {f"router/{path.parent.name}" for path in (ROOT / "router").glob("*/__init__.py")}
    rows = re.findall(r"^\| `(router/\w+)` \|", (DOCS / "index.md").read_text(), re.MULTILINE)
    assert (set(rows), len(rows)) == (rooms, len(rooms))


@pytest.mark.parametrize("page", PAGES_BY_HAND, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_written_down_exist(page: Path) -> None:
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for words in COMMAND.findall(page.read_text()):
        first, *rest = words.split()
        if first == "train":  # on its way
            continue
        assert first in known, words
        subcommands = getattr(known[first], "commands", None)
        assert subcommands is None or not rest or rest[0] in subcommands, words


def test_scripts_that_are_written_down_exist() -> None:
    for page in PAGES_BY_HAND:
        for name in re.findall(r"scripts/(\w+)", page.read_text()):
            assert list((ROOT / "scripts").glob(f"{name}*")), f"{page.name}: scripts/{name}"
