"""docs/reports.md defines every figure, column and dimension, word for word as the code does."""

from pathlib import Path

import pytest

from router.ledger.revenue import SCENARIOS
from router.money import usd_text
from router.reports.queries import FIGURES
from router.reports.reference import COLUMNS, tables

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", sorted(tables()))
def test_the_page_holds_what_the_code_says(name: str) -> None:
    assert tables()[name] in (DOCS / "reports.md").read_text()


def test_every_column_has_a_formula() -> None:
    assert tuple(COLUMNS) == FIGURES


def test_the_scenarios_are_those_of_the_page() -> None:
    page = (DOCS / "economics.md").read_text()
    for name, assumption in SCENARIOS.items():
        earned = usd_text(assumption.estimate_revenue(1_000_000)).rstrip("0")
        assert f"| {name} |" in page
        assert f"${earned} |" in page
