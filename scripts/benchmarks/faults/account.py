"""The books held against the provider's own tally."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy import Engine, select

from router.database.tables import Call, LabelText, Request
from router.ledger.prices import PriceBook
from router.providers.scripted.tally import Served
from router.types import CallStatus, Precision, Usage


@dataclass(frozen=True, slots=True)
class Account:
    """What both sides say, and whether the promise holds."""

    served: int
    lines: int
    exact: int
    estimated: int
    unknown: int
    not_sent: int
    exact_nanousd: int
    tally_nanousd: int  # of the same calls, priced from the tally
    unmatched_exact: int  # exact lines that the provider knows nothing of
    lost_answers: int  # answers a client has and the books have not

    @property
    def holds(self) -> bool:
        """exact <= served <= all lines, amounts to the nano-dollar, no answer lost.

        Of a call that was cut off before a word nobody knows whether it was served: it is estimated either way.
        """
        is_bounded = self.exact <= self.served <= self.lines
        is_equal = self.exact_nanousd == self.tally_nanousd and not self.unmatched_exact
        return is_bounded and is_equal and not self.lost_answers


def account(engine: Engine, tally: Path, answered: Iterable[str] = ()) -> Account:
    """Compare; exact lines are matched with the tally by model and usage."""
    served = read_tally(tally)
    whole = Counter((one.model, one.usage) for one in served if one.is_whole)
    book = PriceBook.load(engine)
    precisions: Counter[Precision] = Counter()
    statuses: Counter[CallStatus] = Counter()
    exact_nanousd = tally_nanousd = unmatched = 0
    query = select(Call.__table__, LabelText.text.label("model")).join(
        LabelText, LabelText.id == Call.provider_model_id
    )
    with engine.connect() as connection:
        for line in connection.execute(query):
            statuses[line.status] += 1
            if line.status is CallStatus.NOT_SENT:
                continue
            precisions[line.precision] += 1
            if line.precision is not Precision.EXACT:
                continue
            tokens = (line.input_fresh, line.input_cached, line.input_cache_write)
            usage = Usage(*tokens, line.output_visible, line.output_reasoning)
            exact_nanousd += line.cost_nanousd
            if whole[line.model, usage] > 0:
                whole[line.model, usage] -= 1
                price = book.by_id()[line.price_id]
                tally_nanousd += price.cost(usage)
            else:
                unmatched += 1
        booked = set(connection.scalars(select(Request.id)))
    return Account(
        served=len(served),
        lines=sum(statuses.values()),
        exact=precisions[Precision.EXACT],
        estimated=precisions[Precision.ESTIMATED],
        unknown=precisions[Precision.UNKNOWN],
        not_sent=statuses[CallStatus.NOT_SENT],
        exact_nanousd=exact_nanousd,
        tally_nanousd=tally_nanousd,
        unmatched_exact=unmatched,
        lost_answers=len(set(answered) - booked),
    )


def read_tally(path: Path) -> list[Served]:
    """Read the provider's tally."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Served) for line in path.read_bytes().splitlines()]
