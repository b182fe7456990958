"""Each line of docs/security.md names a test that is there: a promise that nothing holds is not made."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "security.md"
HEADS = ("threat", "---")


def rows() -> list[list[str]]:
    tables = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in tables]
    return [row for row in cells if not row[0].startswith(HEADS)]


def test_the_page_has_threats() -> None:
    assert len(rows()) > 20


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_threat_names_what_stands_against_it_and_a_test_that_is_there(row: list[str]) -> None:
    assert len(row) == 3
    assert row[1]
    named = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", row[2])
    assert named is not None, f"no test is named: {row[2]!r}"
    tree = ast.parse((ROOT / named[1]).read_text())
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert named[2] in defined
