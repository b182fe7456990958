"""Made-up traffic obeys the laws of the books, and reports of it equal its lines."""

from datetime import UTC
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, func, select
from typer import Typer
from typer.testing import CliRunner

from router.database.engine import writing
from router.database.tables import Adjustment, Call, Feedback, Request, RevenueEvent
from router.ledger import verify
from router.reports.queries import costs
from router.reports.window import Window
from scripts.showcase.seed.__main__ import seed_demo
from scripts.showcase.seed.columns import insert, known

ALWAYS = Window(None, None, UTC)


@pytest.fixture
def seeded(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    url = engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("TIERWISE_DATABASE_URL", url)
    monkeypatch.setenv("TIERWISE_STATE_DIR", str(tmp_path))
    app = Typer()
    app.command()(seed_demo)
    for seed in ("1", "2"):
        CliRunner().invoke(app, ["--requests", "1500", "--days", "6", "--seed", seed], catch_exceptions=False)
    return engine


def test_it_obeys_every_law_and_adds_up(seeded: Engine) -> None:
    assert verify.verify(seeded).breaks == {}
    with seeded.connect() as connection:
        lines = connection.scalar(select(func.sum(Call.cost_nanousd)))
        booked = connection.scalar(select(func.sum(RevenueEvent.amount_nanousd)))
        synthetic = connection.scalar(select(func.count()).select_from(Request).where(Request.synthetic))
        assert connection.scalar(select(func.count()).select_from(Adjustment)) == 0
        assert connection.scalar(select(func.count()).select_from(Feedback))
    total = costs(seeded, ["day"], ALWAYS).totals()
    assert (total.requests, synthetic) == (3_000, 3_000)
    assert (total.cost_nanousd, total.booked_nanousd) == (lines, booked)


def test_minutes_after_midnight_a_day_may_be_without_feedback(engine: Engine) -> None:
    with writing(engine) as connection:
        insert(connection, Feedback, {"rating": known(np.empty(0, np.int64))})
        assert connection.scalar(select(func.count()).select_from(Feedback)) == 0


def test_it_has_several_of_everything(seeded: Engine) -> None:
    for name in ("tier", "segment", "country", "language", "answer_type", "policy", "reason", "turn", "key", "cause"):
        assert len(costs(seeded, [name], ALWAYS).rows) > 1, name
