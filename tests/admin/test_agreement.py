"""The page and the command that tell what agreement is worth: from the books, in one voice."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from router.admin.queries import agreement
from router.cli import app
from router.database.engine import open_engine
from router.ledger.feedback import FeedbackBook, Opinion
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from tests.builders.databases import lay_out
from tests.ledger.builders import NOON, a_closing, a_result, an_id, an_intent, an_opening
from tests.tiers.parallel.endings import an_ending, an_escalation


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Books of thirty unanimous votes, two of three right, and of ten that a stronger tier answered."""
    url = lay_out(f"sqlite:///{tmp_path}/books.db")
    engine, spool = open_engine(url), Spool.open(tmp_path / "spool")
    kept = [an_ending(request_id=an_id(), confidence=0.9, judge="j/x", judge_accepts=n % 3 > 0) for n in range(30)]
    asked = [an_escalation(request_id=an_id(), agrees=True, confidence=0.8) for _ in range(10)]
    for ended in (*kept, *asked):
        spool.write([an_opening(ended.request_id), an_intent(ended.request_id)])
        spool.write([a_result(ended.request_id), ended, a_closing(ended.request_id)])
    Shipper(spool, engine).turn()
    for n, ended in enumerate((*kept, *asked)):
        FeedbackBook(engine).record(Opinion(ended.request_id, None, 1 if n % 3 or n >= 30 else -1, None, None, NOON))
    spool.close()
    engine.dispose()
    return url


@pytest.fixture
def books(url: str) -> Engine:
    return open_engine(url)


def test_the_page_sums_up_what_labels_tell(books: Engine) -> None:
    found = agreement.read(books)
    assert (found.votes, found.labels, found.escalated) == (40, 40, 0.25)
    assert found.error == pytest.approx((30 * (0.9 - 20 / 30) + 10 * 0.2) / 40)
    [(group, shares)] = found.groups
    assert (group.kept_labels, group.strong_labels, group.samples) == (30, 10, 4.0)
    assert [(s.labels, round(s.right.value, 3)) for s in shares] == [(10, 1.0), (30, 0.667)]
    assert all(s.right.low < s.said < 1 for s in shares)
    [judge] = found.judges
    assert (judge.may_decide, judge.rates.right, judge.rates.wrong_accepted) == (True, 20, 0)


def test_the_command_says_what_the_page_says(url: str, tmp_path: Path, books: Engine) -> None:
    config = tmp_path / "tierwise.toml"
    config.write_text(f'database_url = "{url}"\nstate_dir = "{tmp_path}/var"\n')
    reply = CliRunner().invoke(app, ["agreement", "--config", str(config), "--format", "json"])
    rows = json.loads(reply.stdout)
    [(_, shares)] = agreement.read(books).groups
    assert [(row["labels"], row["right"]) for row in rows] == [(s.labels, f"{s.right.value:.3f}") for s in shares]
    assert rows[-1]["share_to"] == "1.00"


def test_a_page_without_labels_says_that_the_usual_curve_speaks(tmp_path: Path) -> None:
    engine = open_engine(lay_out(f"sqlite:///{tmp_path}/books.db"))
    assert agreement.read(engine) == agreement.Agreements(0, 0, None, None, [], [])
    engine.dispose()
