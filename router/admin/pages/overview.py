"""Overview: what came in, what it cost, what it is expected to earn, and whether anything needs a look."""

from collections.abc import Mapping
from dataclasses import replace

from router.admin.page import CsvFile, CsvRows, JsonFeed, NotDone, Page, Visit
from router.admin.queries import choices, overview
from router.admin.selection import FILTERS, SPANS, Selection, read_or_say, read_selection
from router.reports.queries import FIGURES
from router.reports.window import WEEK


def show(visit: Visit) -> Mapping[str, object]:
    """Show the figures of a stretch of time and what was filtered, by tier, and against what was before."""
    selection, problem = read_or_say(visit, WEEK)
    try:
        return _context(visit, selection, problem)
    except NotDone as error:
        return _context(visit, replace(selection, filters={}, key_id=None), str(error))


def _context(visit: Visit, selection: Selection, problem: str) -> Mapping[str, object]:
    engine = visit.services.engine
    return {
        "spans": SPANS,
        "selection": selection,
        "problem": problem,
        "filters": FILTERS,
        "choices": choices.read(engine, selection),
        "step": overview.step_of(selection.window),
        "overview": overview.figures(engine, selection),
        "steps": overview.by_time(engine, selection),
    }


def by_time(visit: Visit) -> object:
    """Return the figures by day or hour, for the charts."""
    return overview.by_time(visit.services.engine, read_selection(visit, WEEK))


def save_csv(visit: Visit) -> CsvRows:
    """Write the figures by day or hour and tier; the rows add up to those of the page."""
    selection = read_selection(visit, WEEK)
    cells, _ = overview.by_step(visit.services.engine, selection)
    return CsvRows(selection.window, (*cells.by, *FIGURES), cells.lines())


PAGE = Page("overview", "Overview", show, feeds=(JsonFeed("overview", by_time),), csv=CsvFile(save_csv))
