"""Where prices come from: the configuration, the bundled public map, and defaults for what runs in the house.

Each model has one timeline in the database. Its first price holds from the beginning of the books; a later one from
the moment it is written, which ends the one before. The configuration beats the map.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, insert, select, update

from router import modelmap
from router.database.engine import AuditHook, exclusive
from router.database.tables import PriceRow
from router.errors import InvalidRequest
from router.ledger.prices import STANDARD, Price, PriceBook, Rates
from router.money import nano_from_usd, price_from_usd_per_million

MOST_PICO_PER_TOKEN = price_from_usd_per_million("1000000")
MOST_PER_CALL_NANOUSD = nano_from_usd("1000")
CONFIG, MAP, BUILTIN, OPERATOR = "config", "map", "builtin", "operator"
SERVICES = {"": STANDARD, "_flex": "flex", "_priority": "priority", "_batches": "batch"}
LARGEST_SERVICE_FACTOR = 5  # a service tier dearer than this times the standard one is an error of the map
LARGEST_CHANGE = 2  # so is a price that more than doubles or halves, until a human says otherwise

# Operator-set costs of what runs on our own machine or only pretends to: about what a small hosted model costs.
OWN_MODELS = ("embedded/", "scripted/")
OWN_RATES = Rates(input=20_000, output=80_000)  # $0.02 and $0.08 per million tokens


class StatedRates(Protocol):
    """Rates in the configuration: USD per million tokens."""

    @property
    def input(self) -> Decimal: ...
    @property
    def output(self) -> Decimal: ...
    @property
    def cached_input(self) -> Decimal | None: ...
    @property
    def cache_write(self) -> Decimal | None: ...
    @property
    def thinking(self) -> Decimal | None: ...


class StatedPrice(StatedRates, Protocol):
    """A price in the configuration, with the rates of other service tiers by name."""

    @property
    def per_call(self) -> Decimal | None: ...
    @property
    def services(self) -> Mapping[Any, StatedRates]: ...


@dataclass(frozen=True, slots=True)
class Quote:
    """A price as a source states it, before it has a row; `doubts` say what is odd, the grave ones with a "!"."""

    model: str
    source: str
    provenance: str
    rates: tuple[Rates, ...]
    per_call_nanousd: int = 0
    doubts: tuple[str, ...] = ()

    def differs_from(self, row: Any) -> bool:
        """Tell whether this would change what the row says."""
        return bool([r.as_row() for r in self.rates] != row.rates or self.per_call_nanousd != row.per_call_nanousd)


def quote_of_config(model: str, stated: StatedPrice) -> Quote:
    """Read a `[prices.MODEL]` table."""
    services = [rates_of_config(rates, service) for service, rates in sorted(stated.services.items())]
    per_call = nano_from_usd(stated.per_call) if stated.per_call is not None else 0
    return Quote(model, CONFIG, "configuration", (rates_of_config(stated, STANDARD), *services), per_call)


def rates_of_config(stated: StatedRates, service: str) -> Rates:
    """Read the rates of one service tier."""

    def pico(usd: Decimal | None) -> int | None:
        return None if usd is None else price_from_usd_per_million(usd)

    return Rates(
        input=price_from_usd_per_million(stated.input),
        output=price_from_usd_per_million(stated.output),
        cached_input=pico(stated.cached_input),
        cache_write=pico(stated.cache_write),
        thinking=pico(stated.thinking),
        service=service,
    )


def quote_of_map(model: str) -> Quote | None:
    """Read a model's price from the bundled map.

    None when it names no price, or zero for both input and output: there a zero means "unknown" more often than
    "free", and a price of zero hides itself in every report.
    """
    entry = modelmap.entry(model)
    if entry is None or not _pico(entry, "input_cost_per_token") or not _pico(entry, "output_cost_per_token"):
        return None
    rates: list[Rates] = []
    doubts: list[str] = []
    for suffix, service in SERVICES.items():
        for above in (0, *_context_tiers(entry)):
            rate = _rates(entry, service, suffix, above)
            if rate is None:
                continue
            if rates and rate.input > rates[0].input * LARGEST_SERVICE_FACTOR:
                doubts.append(f"{service} is left out: input is {rate.input // rates[0].input} times the standard one")
                continue
            rates.append(rate)
    standard = rates[0]
    if standard.cached_input is not None and standard.cached_input > standard.input:
        doubts.append("! cached input is dearer than fresh input")
    if standard.output < standard.input:
        doubts.append("! output is cheaper than input")
    fee = entry.get("input_cost_per_request")
    provenance = f"{modelmap.provenance()}; {entry.get('source', 'no source given')}"
    per_call = nano_from_usd(Decimal(str(fee))) if fee else 0
    return Quote(model, MAP, provenance, tuple(rates), per_call, tuple(doubts))


def quote(model: str, stated: Mapping[str, StatedPrice]) -> Quote | None:
    """Find the price of a model: the configuration, then the house's own default, then the map."""
    if model in stated:
        return quote_of_config(model, stated[model])
    if model.startswith(OWN_MODELS):
        return Quote(model, BUILTIN, "default cost of a model of the house", (OWN_RATES,))
    return quote_of_map(model)


def book_of(models: Iterable[str], stated: Mapping[str, StatedPrice]) -> PriceBook:
    """Make a book without a database, in which every price always holds; what has no price is not in it."""
    quotes = [found for model in sorted({*models, *stated}) if (found := quote(model, stated)) is not None]
    return PriceBook(
        Price(number, one.model, 0, None, one.source, one.rates, one.per_call_nanousd)
        for number, one in enumerate(quotes, 1)
    )


def sync(engine: Engine, models: Iterable[str], stated: Mapping[str, StatedPrice], now_us: int) -> None:
    """Give every configured model its price row at a start.

    What the configuration says is written when it changed; from the map only a first price is taken, later ones
    need `tierwise prices import`.
    """
    with exclusive(engine) as connection:
        current = current_rows(connection)
        for model in sorted({*models, *stated}):
            offer, row = quote(model, stated), current.get(model)
            is_dropped = row is not None and row.source == CONFIG and model not in stated
            if is_dropped and offer is None:
                assert row is not None
                end(connection, row, now_us)
            elif offer and (row is None or is_dropped or _is_news(offer, row)):
                write(connection, offer, row, now_us)


def _is_news(quote: Quote, row: Any) -> bool:
    """Tell whether a start changes a price: the configuration's word always counts, an operator's beats all others."""
    if quote.source == MAP or (row.source == OPERATOR and quote.source != CONFIG):
        return False
    return quote.differs_from(row)


def put(engine: Engine, quote: Quote, now_us: int, hook: AuditHook | None = None) -> None:
    """Put a price into effect now, as an operator wants it."""
    with exclusive(engine) as connection:
        row = current_rows(connection).get(quote.model)
        if hook is not None:
            before = None if row is None else {"rates": row.rates, "per_call_nanousd": row.per_call_nanousd}
            after = {"rates": [rates.as_row() for rates in quote.rates], "per_call_nanousd": quote.per_call_nanousd}
            hook(connection, before, after)
        write(connection, quote, row, now_us)


def require_bounded(quote: Quote) -> None:
    """Raise InvalidRequest for a price that no sum of amounts could hold."""
    for rates in quote.rates:
        prices = (rates.input, rates.output, rates.cached_input, rates.cache_write, rates.thinking)
        if max(price or 0 for price in prices) > MOST_PICO_PER_TOKEN:
            raise InvalidRequest(f"the price of {quote.model} is above $1,000,000 per million tokens; look at its unit")
    if quote.per_call_nanousd > MOST_PER_CALL_NANOUSD:
        raise InvalidRequest(f"the price of {quote.model} is above $1,000 a call; look at its unit")


def write(connection: Connection, quote: Quote, row: Any, now_us: int) -> None:
    """Put a price into effect now; the first of its model holds from the beginning. Raises InvalidRequest."""
    require_bounded(quote)
    is_first = connection.scalar(select(PriceRow.id).where(PriceRow.model == quote.model).limit(1)) is None
    if row is not None:
        end(connection, row, now_us)
    values = {
        "model": quote.model,
        "effective_from": 0 if is_first else now_us,
        "effective_to": None,
        "source": quote.source,
        "provenance": quote.provenance,
        "rates": [rates.as_row() for rates in quote.rates],
        "per_call_nanousd": quote.per_call_nanousd,
        "created_at": now_us,
    }
    connection.execute(insert(PriceRow).values(values))


def end(connection: Connection, row: Any, now_us: int) -> None:
    """End a price now: history keeps it."""
    connection.execute(update(PriceRow).where(PriceRow.id == row.id).values(effective_to=now_us))


def current_rows(connection: Connection) -> dict[str, Any]:
    """Return the rows in effect, by model."""
    return {r.model: r for r in connection.execute(select(PriceRow.__table__).where(PriceRow.effective_to.is_(None)))}


def changes(row: Any, quote: Quote) -> list[str]:
    """Say in words what a quote changes, and what of it is out of the ordinary ("!")."""
    lines = list(quote.doubts)
    if row is None:
        return ["new", *lines]
    old, new = Rates(**row.rates[0]), quote.rates[0]
    for name in ("input", "cached_input", "cache_write", "output", "thinking"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            is_odd = not before or not after or max(before, after) > LARGEST_CHANGE * min(before, after)
            lines.append(f"{'! ' if is_odd else ''}{name} {usd_per_million(before)} -> {usd_per_million(after)}")
    if quote.differs_from(row) and not lines:
        lines.append("other rates changed")
    return lines


def usd_per_million(pico: int | None) -> str | None:
    """Write a rate as USD per million tokens."""
    return None if pico is None else f"{Decimal(pico) / 1_000_000:f}"


def _rates(entry: Mapping[str, Any], service: str, suffix: str, above: int) -> Rates | None:
    tier = f"_above_{above // 1000}k_tokens" if above else ""

    def pico(name: str) -> int | None:
        return _pico(entry, f"{name}{tier}{suffix}") or None

    fresh, output = pico("input_cost_per_token"), pico("output_cost_per_token")
    if fresh is None or output is None:
        return None
    return Rates(
        input=fresh,
        output=output,
        cached_input=pico("cache_read_input_token_cost"),
        cache_write=pico("cache_creation_input_token_cost"),
        thinking=pico("output_cost_per_reasoning_token"),
        service=service,
        above_tokens=above,
    )


def _context_tiers(entry: Mapping[str, Any]) -> list[int]:
    matches = (re.fullmatch(r"input_cost_per_token_above_(\d+)k_tokens", name) for name in entry)
    return sorted(int(match[1]) * 1000 for match in matches if match)


def _pico(entry: Mapping[str, Any], name: str) -> int | None:
    usd_per_token = entry.get(name)
    if usd_per_token is None:
        return None
    return price_from_usd_per_million(Decimal(str(usd_per_token)) * 1_000_000)
