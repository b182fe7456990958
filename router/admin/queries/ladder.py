"""Reads the last ladder that was climbed, and the coverage slice of one's own traffic beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from router.learning.rungs import rungs_of_traffic
from router.ledger import ladders
from router.ledger.revenue import revenue_of_a_query
from router.reports.coverage import read_rated_votes
from router.reports.ladder import Ladder, NoLadder, Pays, Rung, affordable_share, pays, read_ladder
from router.reports.ladder_page import sentences
from router.reports.reading import reading
from router.reports.window import Window


@dataclass(frozen=True, slots=True)
class RungView:
    """A rung beside what a query earns now."""

    rung: Rung
    pays: Pays | None
    affordable: float | None


@dataclass(frozen=True, slots=True)
class LadderView:
    """All that the page shows. `is_unreadable`: there is a ladder, but of another version of Tierwise."""

    ladder: Ladder | None
    is_unreadable: bool
    rungs: Sequence[RungView]
    says: Sequence[str]
    revenue_nanousd: int | None
    traffic: Sequence[RungView]
    rated: int


def read(engine: Engine, window: Window) -> LadderView:
    """Read the newest ladder of a set of questions, today's revenue, and a window of rated traffic."""
    body, revenue = ladders.newest(engine, "questions"), revenue_of_a_query(engine)
    try:
        ladder = None if body is None else read_ladder(body)
    except NoLadder:
        ladder = None
    with reading(engine, window) as books:
        votes = read_rated_votes(books)
    return LadderView(
        ladder,
        body is not None and ladder is None,
        _views(ladder.rungs, revenue) if ladder else [],
        sentences(ladder, revenue) if ladder else [],
        revenue,
        _views(rungs_of_traffic(votes), revenue),
        len(votes),
    )


def _views(rungs: Sequence[Rung], revenue_nanousd: int | None) -> list[RungView]:
    return [
        RungView(rung, pays(rung, revenue_nanousd), affordable_share(rung, rungs[0], revenue_nanousd)) for rung in rungs
    ]
