"""What quality costs: from a replayed set of questions and from labelled traffic, as points and as a chart."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from router.reports.scatter import tradeoff_chart
from router.reports.tradeoff import Estimated, Point, WrongReplay, of_replay
from router.tuning.tradeoff import judge_tradeoff, of_traffic
from tests.builders.databases import lay_out
from tests.builders.traffics import LOGGED, a_world
from tests.commands.conftest import Command, here, tierwise  # noqa: F401 - fixtures
from tests.reports.test_queries import ALWAYS

ROW = {"tier": "fast", "graded": 40, "accuracy": 0.7, "low": 0.6, "high": 0.8, "cost_nanousd_per_query": 200_000}


def written(path: Path, rows: object) -> Path:
    (path / "summary.json").write_text(json.dumps(rows))
    return path


def test_a_replay_gives_a_point_per_tier_and_todays(tmp_path: Path) -> None:
    rows = [ROW, ROW | {"tier": "auto", "cost_nanousd_per_query": 400_000}, ROW | {"tier": "own", "accuracy": None}]
    found = of_replay(written(tmp_path, rows))
    assert [(p.name, p.kind, p.cost_usd_per_1k.value, p.quality.low) for p in found.points] == [
        ("fast", "tier", 0.2, 0.6),
        ("today", "today", 0.4, 0.6),
    ]


@pytest.mark.parametrize("rows", [{}, [1], [{"tier": "fast"}], "x"])
def test_what_is_no_replay_is_refused_in_words(tmp_path: Path, rows: object) -> None:
    with pytest.raises(WrongReplay, match=r"summary\.json"):
        of_replay(written(tmp_path, rows or [2]))
    with pytest.raises(WrongReplay, match="No such file"):
        of_replay(tmp_path / "elsewhere")


def test_too_few_ratings_draw_nothing_and_say_so(engine: Engine) -> None:
    found = of_traffic(engine, ALWAYS)
    assert (found.points, tradeoff_chart(found.points)) == ([], "")
    assert found.doubt is not None
    assert "too few" in found.doubt


def test_a_dearer_way_has_more_quality_and_its_own_place() -> None:
    points = [
        Point(name, kind, Estimated(cost, None, None), Estimated(good, good - 0.05, good + 0.05))
        for name, kind, cost, good in (("always fast", "tier", 0.2, 0.7), ("today", "today", 0.5, 0.8))
    ]
    drawn = tradeoff_chart(points)
    assert drawn.count("<circle") == 2
    assert "today: $0.5 per 1000, quality 80.0%" in drawn


def test_labelled_traffic_shows_what_thinking_more_brings() -> None:
    found = judge_tradeoff(a_world().traffic, LOGGED)
    by_name = {point.name: point for point in found.points}
    assert {"always fast", "always reasoning", "today"} <= by_name.keys()
    sweep = sorted((p for p in found.points if p.kind == "sweep"), key=lambda p: p.deep_share or 0)
    costs = [point.cost_usd_per_1k.value for point in sweep]
    assert costs == sorted(costs)
    assert by_name["always reasoning"].quality.value > by_name["always fast"].quality.value
    assert all(point.quality.low is None or point.doubt is None for point in found.points)


def test_a_replay_where_it_cannot_be_shown_is_refused(tierwise: Command, tmp_path: Path) -> None:  # noqa: F811
    lay_out(f"sqlite:///{tmp_path}/var/tierwise.db")
    assert tierwise("report", "--replay", str(tmp_path)).code == 2
    assert tierwise("report", "--replay", str(tmp_path), "--format", "json", "--where", "tier=fast").code == 2
    told = json.loads(tierwise("report", "--replay", str(written(tmp_path, [ROW])), "--format", "json").out)
    assert told["tradeoff"]["points"][0]["name"] == "fast"
    assert tierwise("report", "--replay", str(tmp_path / "no"), "--format", "json").code == 2
