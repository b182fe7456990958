"""Pure: folds the entries of one request into what is booked, and settles what a dead worker left open.

The first word on anything stands: an entry that comes twice, or contradicts an earlier one, changes nothing.
"""

from collections.abc import Sequence

from router.ledger.entries import CallIntent, CallResult, Closing, DuelVerdict, Entry, KeptFeatures, Opening, VoteEnding
from router.types import CallKind, CallStatus, Outcome, Precision, Tier


class RequestRecord:
    """What is known of one request so far.

    Without an opening it is a late part (a shadow call after the closing): the request itself is already booked.
    """

    __slots__ = (
        "closing", "features", "intents", "is_queued", "opening", "request_id", "results", "rows", "strays", "verdict",
        "vote",
    )  # fmt: skip

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.opening: Opening | None = None
        self.intents: dict[int, CallIntent] = {}
        self.results: dict[int, CallResult] = {}
        self.closing: Closing | None = None
        self.features: KeptFeatures | None = None
        self.verdict: DuelVerdict | None = None
        self.vote: VoteEnding | None = None
        self.rows: list[int] = []
        self.strays = 0
        self.is_queued = False

    def add(self, entry: Entry) -> None:
        """Take an entry in; a result nobody announced is a stray and is not booked."""
        match entry:
            case CallIntent():
                self.intents.setdefault(entry.call_no, entry)
            case CallResult():
                if entry.call_no in self.intents:
                    self.results.setdefault(entry.call_no, entry)
                else:
                    self.strays += 1
            case Opening():
                self.opening = self.opening or entry
            case Closing():
                self.closing = self.closing or entry
            case KeptFeatures():
                self.features = self.features or entry
            case DuelVerdict():
                self.verdict = self.verdict or entry
            case VoteEnding():
                self.vote = self.vote or entry

    @property
    def is_closed(self) -> bool:
        """The request ended, though calls of it may still be under way."""
        return self.closing is not None or self.opening is None

    @property
    def is_settled(self) -> bool:
        """Nothing of it is open any more."""
        return self.is_closed and len(self.results) == len(self.intents)

    def calls_with_results(self) -> list[tuple[CallIntent, CallResult]]:
        """Return the calls that ended, each with what was announced."""
        return [(self.intents[call_no], result) for call_no, result in self.results.items()]


def settlement(record: RequestRecord, at_us: int) -> Sequence[Entry]:
    """Settle what is open and nobody will end: it may have reached the provider, so the hold stays as upper bound."""
    entries: list[Entry] = [
        CallResult(
            request_id=intent.request_id,
            call_no=intent.call_no,
            status=CallStatus.UNKNOWN,
            precision=Precision.UNKNOWN,
            usage=None,
            price_id=intent.price_id,
            cost_nanousd=intent.hold_nanousd,
            first_token_ms=None,
            duration_ms=None,
        )
        for intent in record.intents.values()
        if intent.call_no not in record.results
    ]
    if not record.is_closed:
        entries.append(
            Closing(
                request_id=record.request_id,
                closed_at=at_us,
                final_tier=_last_tier(record),
                outcome=Outcome.UNKNOWN,
                answer_call_no=None,
                first_byte_ms=None,
                total_ms=None,
            )
        )
    return entries


def _last_tier(record: RequestRecord) -> Tier:
    answering = [i for i in record.intents.values() if i.kind in (CallKind.ANSWER, CallKind.SAMPLE)]
    if answering:
        return max(answering, key=lambda intent: intent.call_no).tier
    assert record.opening is not None
    return record.opening.first_tier
