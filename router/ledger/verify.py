"""Checks the books against their own laws. A break is a fact about our software; a note is a fact about the world."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from router.database.labels import read_label_texts
from router.database.tables import Adjustment, Call, LabelText, PriceRow, Request
from router.ledger import recovery
from router.ledger.prices import Price, PriceBook, price_of
from router.ledger.spool import SPOOL_SUFFIX
from router.types import CallStatus, Precision, Usage

PRICE_LAG_US = 10_000_000  # a worker learns of a new price about a second after it is in effect
EXAMPLES = 5


@dataclass
class Findings:
    """What a verification found: how often, with some examples."""

    requests: int = 0
    calls: int = 0
    breaks: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def note_break(self, law: str, example: str) -> None:
        """Note that a law does not hold."""
        self.breaks[law] += 1
        examples = self.examples.setdefault(law, [])
        if len(examples) < EXAMPLES:
            examples.append(example)

    @property
    def is_sound(self) -> bool:
        """Every law holds."""
        return not self.breaks


def verify(engine: Engine, state_dir: Path | None = None) -> Findings:
    """Check every line, price range, correction and spool."""
    findings = Findings()
    with engine.connect() as connection:
        prices = PriceBook(price_of(row) for row in connection.execute(select(PriceRow.__table__))).by_id()
        _check_ranges(prices, findings)
        _check_calls(connection, prices, findings)
        _check_requests(connection, findings)
        _check_corrections(connection, findings)
    if state_dir is not None:
        _check_spools(state_dir / "spool", findings)
    return findings


def _check_calls(connection: Connection, prices: Mapping[int, Price], findings: Findings) -> None:
    query = (
        select(Call.__table__, LabelText.text.label("model"), Request.id.label("booked_request"))
        .join(LabelText, LabelText.id == Call.provider_model_id, isouter=True)
        .join(Request, Request.id == Call.request_id, isouter=True)
    )
    services: dict[int, str] = read_label_texts(connection)
    for line in connection.execution_options(yield_per=10_000).execute(query):
        findings.calls += 1
        where = f"{line.request_id}/{line.call_no}"
        if line.booked_request is None:
            findings.note_break("every call belongs to a booked request", where)
        if line.model is None:
            findings.note_break("every call names its model", where)
        for law in _breaks_of(line, prices, services.get(line.service_id or 0)):
            findings.note_break(law, where)
        findings.notes["unpriced lines"] += line.cost_nanousd is None
        findings.notes["estimated lines"] += line.precision is Precision.ESTIMATED
        findings.notes["unknown lines (the hold is booked)"] += line.precision is Precision.UNKNOWN
        hold, cost = line.hold_nanousd, line.cost_nanousd
        findings.notes["lines dearer than their hold"] += hold is not None and cost is not None and cost > hold


def _breaks_of(line: Row[Any], prices: Mapping[int, Price], service: str | None) -> Iterator[str]:
    price = prices.get(line.price_id) if line.price_id is not None else None
    if line.price_id is not None and price is None:
        yield "a price that a line names exists"
        return
    if price is not None and price.model != line.model:
        yield "a line is priced with its own model's price"
    if price is not None and not _in_effect(price, line.started_at):
        yield "a line's price was in effect when the call began"
    usage = None if line.input_fresh is None else _usage(line)
    if line.status is CallStatus.NOT_SENT:
        if line.cost_nanousd != 0:
            yield "what was never sent costs nothing"
    elif line.precision is Precision.UNKNOWN:
        if line.cost_nanousd != line.hold_nanousd:
            yield "an unknown line keeps its hold"
    elif usage is None:
        yield "an exact or estimated line has usage"
    elif line.cost_nanousd != (price.cost(usage, service) if price else None):
        yield "amount = usage x price, and no amount without a price"


def _in_effect(price: Price, at_us: int) -> bool:
    return price.covers(at_us) or price.covers(at_us - PRICE_LAG_US)


def _usage(line: Row[Any]) -> Usage:
    return Usage(
        line.input_fresh, line.input_cached, line.input_cache_write, line.output_visible, line.output_reasoning
    )


def _check_requests(connection: Connection, findings: Findings) -> None:
    answered = (
        select(Request.id, Request.answer_call_no, Call.call_no)
        .join(Call, (Call.request_id == Request.id) & (Call.call_no == Request.answer_call_no), isouter=True)
        .execution_options(yield_per=10_000)
    )
    for row in connection.execute(answered):
        findings.requests += 1
        if row.answer_call_no is not None and row.call_no is None:
            findings.note_break("the call that answered a request is booked", row.id)


def _check_ranges(prices: Mapping[int, Price], findings: Findings) -> None:
    by_model: dict[str, list[Price]] = {}
    for price in sorted(prices.values(), key=lambda p: p.effective_from):
        by_model.setdefault(price.model, []).append(price)
    for model, timeline in by_model.items():
        for earlier, later in pairwise(timeline):
            if earlier.effective_to is None or earlier.effective_to > later.effective_from:
                findings.note_break("prices of a model do not overlap", f"{model}: {earlier.id} and {later.id}")


def _check_corrections(connection: Connection, findings: Findings) -> None:
    """Check that a re-rated line stands at the amount that the last run gave it."""
    query = (
        select(Adjustment.request_id, Adjustment.call_no, Adjustment.kind, Adjustment.amount_nanousd, Call.cost_nanousd)
        .join(Call, (Call.request_id == Adjustment.request_id) & (Call.call_no == Adjustment.call_no), isouter=True)
        .where(Adjustment.request_id.is_not(None))
        .order_by(Adjustment.id)
    )
    stands: dict[tuple[str, int], tuple[int, int]] = {}
    for row in connection.execute(query):
        key = (str(row.request_id), int(row.call_no))
        total, last = stands.get(key, (row.cost_nanousd or 0, row.cost_nanousd or 0))
        last = row.amount_nanousd if row.kind == "rerated" else last
        stands[key] = (total + row.amount_nanousd, last)
    for (request_id, call_no), (total, last) in stands.items():
        if total != last:
            findings.note_break("a re-rated line stands at its new amount", f"{request_id}/{call_no}")


def _check_spools(directory: Path, findings: Findings) -> None:
    if count := recovery.count_rejected(directory):
        findings.note_break("nothing is refused by the database", f"{count} in {directory / recovery.REJECTED}")
    for path in recovery.list_damaged(directory):
        findings.note_break("no spool is damaged", path.name)
    findings.notes["spools not yet shipped"] = len(list(directory.glob(f"*{SPOOL_SUFFIX}")))
