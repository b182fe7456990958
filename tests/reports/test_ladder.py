"""A ladder as rows, in words and as a page, and which of its rungs revenue pays for."""

import re

import pytest

from router.reports.ladder import (
    COLUMNS,
    Ladder,
    NoLadder,
    Pays,
    Rung,
    RungKind,
    affordable_share,
    json_of,
    pays,
    read_ladder,
    rows_of,
)
from router.reports.ladder_page import ladder_chart, ladder_page, sentences
from router.reports.tradeoff import Estimated


def costs(value: float, low: float | None = None, high: float | None = None) -> Estimated:
    return Estimated(value, low, high)


FAST = Rung(
    name="fast",
    kind=RungKind.SINGLE,
    questions=20,
    accuracy=costs(0.5, 0.3, 0.7),
    cost_nanousd=costs(100_000, 90_000, 110_000),
)
FOUR = Rung(
    name="fast x 4",
    kind=RungKind.SAMPLES,
    samples=4,
    questions=20,
    accuracy=costs(0.7, 0.5, 0.85),
    covered=costs(0.8, 0.6, 0.9),
    cost_nanousd=costs(400_000, 380_000, 420_000),
    seconds=1.25,
)
HIGH = Rung(
    name="reasoning high",
    kind=RungKind.EFFORT,
    questions=20,
    accuracy=costs(0.9, 0.7, 0.97),
    cost_nanousd=costs(2_000_000, 1_200_000, 3_000_000),
)


def a_ladder(*rungs: Rung, revenue_nanousd: int | None = 1_450_000) -> Ladder:
    return Ladder(
        source="questions",
        name="sums <of ours>",
        made_at_us=1_800_000_000_000_000,
        questions=20,
        sampled="fast",
        revenue_nanousd=revenue_nanousd,
        rungs=rungs or (FAST, FOUR, HIGH),
    )


def test_a_rung_pays_where_its_whole_interval_is_below_the_revenue() -> None:
    found = [pays(rung, 1_450_000) for rung in (FAST, FOUR, HIGH)]
    assert found == [Pays.YES, Pays.YES, Pays.UNCLEAR]
    assert (pays(HIGH, 1_000_000), pays(HIGH, 3_000_000)) == (Pays.NO, Pays.YES)
    assert (pays(HIGH, None), pays(Rung(name="x", kind=RungKind.TIER), 1)) == (None, None)


@pytest.mark.parametrize(
    ("revenue", "share"), [(100_000, 0.0), (50_000, 0.0), (1_050_000, 0.5), (2_000_000, 1.0), (None, None)]
)
def test_the_affordable_share_spends_what_queries_earn_and_no_more(revenue: int | None, share: float | None) -> None:
    assert affordable_share(HIGH, FAST, revenue) == share


def test_the_cheapest_rung_itself_is_affordable_or_not() -> None:
    assert (affordable_share(FAST, FAST, 100_000), affordable_share(FAST, FAST, 99_999)) == (1.0, 0.0)


def test_a_ladder_is_read_back_as_it_was_written_and_nothing_else_is() -> None:
    assert read_ladder(json_of(a_ladder())) == a_ladder()
    with pytest.raises(NoLadder, match="no ladder"):
        read_ladder({"rungs": []})


def test_rows_hold_every_column_and_unknown_is_empty() -> None:
    fast, four, high = rows_of(a_ladder())
    assert tuple(fast) == COLUMNS
    assert (fast["cost_usd"], fast["pass_at_k"], four["pass_at_k"], four["seconds"]) == ("0.000100000", None, 0.8, 1.25)
    assert (high["paid_by_revenue"], high["affordable_share"]) == ("unclear", 0.7105)
    assert rows_of(a_ladder(revenue_nanousd=1_000_000))[2]["paid_by_revenue"] == "no"
    assert rows_of(a_ladder(revenue_nanousd=None))[0]["paid_by_revenue"] is None


def test_words_name_the_best_rung_and_the_best_that_is_paid_for() -> None:
    best, earns, paid = sentences(a_ladder(), 1_450_000)
    assert best == "Most is right with reasoning high: 90.0 % of 20."
    assert earns.endswith("is expected to earn $0.001450.")
    assert "fast x 4 is right most often: 70.0 %" in paid
    assert sentences(a_ladder(), 1_000)[-1] == "That pays for no rung on every query for sure."
    assert "not known" in sentences(a_ladder(), None)[-1]


def test_the_chart_has_a_point_per_rung_and_the_break_even_line_in_its_place() -> None:
    drawn = ladder_chart(a_ladder())
    assert drawn.count("<circle") == 4  # three that are selected, one pass@k
    line = re.search(r'class="break-even" x1="([\d.]+)"', drawn)
    places = [float(x) for x in re.findall(r'<circle class="(?:fast|reasoning)" cx="([\d.]+)"', drawn)]
    assert line is not None
    assert places[1] < float(line[1]) < places[2]
    assert "break-even" not in ladder_chart(a_ladder(revenue_nanousd=None))
    assert ladder_chart(a_ladder(Rung(name="fast", kind=RungKind.SINGLE))) == ""


def test_the_page_stands_alone_and_escapes_names() -> None:
    page = ladder_page(a_ladder())
    assert "sums &lt;of ours&gt;" in page
    assert "<script" not in page
    assert "http" not in page
    assert page.count("<tr>") == 4
    assert "unclear" in page
