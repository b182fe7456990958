"""Books with requests in them, written the way a server writes them."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert

from router.clock import request_id
from router.database.engine import writing
from router.database.tables import RevenueEvent
from router.ledger.entries import Entry
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.types import Tier
from tests.ledger.builders import NOON, a_closing, a_result, an_intent, an_opening

numbers = count(1)


def a_booked_request(
    *,
    tier: Tier = Tier.FAST,
    costs: Sequence[int | None] = (1_000,),
    models: Sequence[str] = ("openai/cheap",),
    at_us: int = NOON,
    **opening: Any,
) -> list[Entry]:
    """One request whose call number i cost `costs[i]` at `models[i]`; the last call answered."""
    id_ = request_id(at_us)
    entries: list[Entry] = [an_opening(id_, opened_at=at_us, first_tier=tier, **opening)]
    for number, cost in enumerate(costs):
        model = models[number % len(models)]
        entries.append(an_intent(id_, number, provider_model=model, tier=tier, started_at=at_us))
        entries.append(a_result(id_, number, cost_nanousd=cost))
    return [*entries, a_closing(id_, final_tier=tier, answer_call_no=len(costs) - 1, closed_at=at_us + 1_000)]


def book(engine: Engine, directory: Path, *requests: Sequence[Entry]) -> None:
    """Bring requests into the database."""
    spool = Spool.open(directory / "spool")
    for entries in requests:
        spool.write(entries)
    Shipper(spool, engine).turn()
    spool.close()


def earn(engine: Engine, request: Sequence[Entry] | None, amount_nanousd: int) -> None:
    """Book revenue that a network reported."""
    row = {
        "source": "network",
        "event_id": str(next(numbers)),
        "request_id": request[0].request_id if request else None,
        "kind": "click",
        "amount_nanousd": amount_nanousd,
        "received_at": NOON,
    }
    with writing(engine) as connection:
        connection.execute(insert(RevenueEvent).values(**row))
