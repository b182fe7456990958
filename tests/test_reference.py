"""Docs that drift from the code fail here."""

import re
from pathlib import Path

import pytest
import typer

from router.app import HTTP_ROUTES, create
from router.cli import app
from router.settings import Settings
from scripts.reference import PAGES, REFERENCE, settings_page

ROOT = Path(__file__).parent.parent
PAGES_BY_HAND = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
COMMAND = re.compile(r"(?:^|[`/])tierwise ((?:[a-z]+ ?)+)", re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_code_says(name: str) -> None:
    assert (REFERENCE / name).read_text() == PAGES[name](), "run .venv/bin/python -m scripts.reference"


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
    documented = {(route.method, route.path) for route in HTTP_ROUTES if not route.path.startswith("/admin")}
    assert routes == documented


@pytest.mark.parametrize("page", PAGES_BY_HAND, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


def test_the_index_names_only_files_that_exist() -> None:
    text = (ROOT / "docs" / "index.md").read_text()
    named = [name for name in re.findall(r"`([\w/]+(?:\.py|/))`", text) if "/" in name]
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


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
