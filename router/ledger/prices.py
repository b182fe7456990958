"""Prices in effect: what a token of a model costs at an instant. A lookup is a dictionary read.

Rates are integer pico-dollars per token; an amount is rounded once, half-even, to nano-dollars. A kind without a rate
of its own falls back: cached input and cache writes to input, thinking to output. No price is None, never zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, select

from router.database.tables import PriceRow
from router.money import NanoUsd, nano_from_pico
from router.types import Usage

ALL_PRICES = select(PriceRow.__table__)
STANDARD, BATCH = "standard", "batch"
STANDARD_NAMES = frozenset({None, "", "auto", "default", STANDARD, "scale", "on_demand"})


@dataclass(frozen=True, slots=True)
class Rates:
    """Pico-dollars per token of one service tier, for prompts longer than `above_tokens`."""

    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None
    thinking: int | None = None
    service: str = STANDARD
    above_tokens: int = 0

    def pico(self, usage: Usage) -> int:
        """Return the exact price of a usage."""
        return (
            usage.input_fresh * self.input
            + usage.input_cached * (self.input if self.cached_input is None else self.cached_input)
            + usage.input_cache_write * (self.input if self.cache_write is None else self.cache_write)
            + usage.output_visible * self.output
            + usage.output_reasoning * (self.output if self.thinking is None else self.thinking)
        )

    def by_bucket(self) -> dict[str, int]:
        """Return the rate of each token bucket, with every fallback filled in."""
        return {
            "input_fresh": self.input,
            "input_cached": self.input if self.cached_input is None else self.cached_input,
            "input_cache_write": self.input if self.cache_write is None else self.cache_write,
            "output_visible": self.output,
            "output_reasoning": self.output if self.thinking is None else self.thinking,
        }

    @property
    def highest_input(self) -> int:
        """What an input token costs at most."""
        return max(self.input, self.cached_input or 0, self.cache_write or 0)

    @property
    def highest_output(self) -> int:
        """What an output token costs at most."""
        return max(self.output, self.thinking or 0)

    def as_row(self) -> dict[str, Any]:
        """Return the shape in which rates are stored."""
        shape = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in shape.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Price:
    """One price row. `rates` hold the standard service first and, within a service, the longest prompts first."""

    id: int
    model: str
    effective_from: int
    effective_to: int | None
    source: str
    rates: tuple[Rates, ...]
    per_call_nanousd: int = 0
    _highest: tuple[tuple[Rates, int, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out the highest rate of each side, which every call asks for before it goes out."""
        highest = tuple((rates, rates.highest_input, rates.highest_output) for rates in self.rates)
        object.__setattr__(self, "_highest", highest)

    def cost(self, usage: Usage, service: str | None = None) -> NanoUsd:
        """Return what a call costs; a service tier that this price does not know is charged as the standard one."""
        cost = nano_from_pico(self.rates_of(usage, service).pico(usage))
        return NanoUsd(cost + self.per_call_nanousd) if self.per_call_nanousd else cost

    def hold(self, input_bound_tokens: int, output_bound_tokens: int, service: str | None = None) -> NanoUsd:
        """Bound what a call of at most so many tokens costs, whichever buckets and context tier they fall in.

        What is asked of a cheaper service may be served by the standard one.
        """
        own, highest_input, highest_output = self._service_or_standard(service), -1, -1
        for rates, input_rate, output_rate in self._highest:
            if rates.above_tokens <= input_bound_tokens and rates.service in (own, STANDARD):
                highest_input = input_rate if input_rate > highest_input else highest_input
                highest_output = output_rate if output_rate > highest_output else highest_output
        assert highest_input >= 0  # there are rates for the shortest prompts
        pico = highest_input * input_bound_tokens + highest_output * output_bound_tokens
        return NanoUsd(-(-pico // 1_000) + self.per_call_nanousd)

    def rates_by_bucket(self) -> dict[str, int]:
        """Return the standard rates of short prompts, by token bucket, with every fallback filled in."""
        return self._rates_for(1, STANDARD).by_bucket()

    def rates_of(self, usage: Usage, service: str | None = None) -> Rates:
        """Return the rates by which a usage is charged."""
        return self._rates_for(usage.input_tokens, self._service_or_standard(service))

    def covers(self, at_us: int) -> bool:
        """Tell whether the price was in effect at an instant."""
        return self.effective_from <= at_us and (self.effective_to is None or at_us < self.effective_to)

    def _service_or_standard(self, service: str | None) -> str:
        if service in STANDARD_NAMES or all(r.service != service for r in self.rates):
            return STANDARD
        return str(service)

    def _rates_for(self, input_tokens: int, service: str) -> Rates:
        found = None
        for rates in self.rates:
            is_fitting = rates.service == service and (rates.above_tokens < input_tokens or not rates.above_tokens)
            if is_fitting and (found is None or rates.above_tokens > found.above_tokens):
                found = rates
        assert found is not None  # there are rates for the shortest prompts
        return found


class PriceBook:
    """All prices, by model and time. `refresh` follows the database; readers never wait."""

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self._by_model = _by_model(prices)

    @classmethod
    def load(cls, engine: Engine) -> "PriceBook":
        """Read the book from the database."""
        book = cls()
        book.refresh(engine)
        return book

    def refresh(self, engine: Engine) -> None:
        """Read the book again; raises SQLAlchemyError and keeps what it has."""
        with engine.connect() as connection:
            rows = connection.execute(ALL_PRICES).all()
        self._by_model = _by_model(price_of(row) for row in rows)

    def in_effect(self, model: str, at_us: int) -> Price | None:
        """Find the price of a model at an instant; None when it has none."""
        for price in self._by_model.get(model, ()):
            if price.covers(at_us):
                return price
        return None

    def by_id(self) -> Mapping[int, Price]:
        """Return all prices by their id."""
        return {price.id: price for prices in self._by_model.values() for price in prices}

    def find_unpriced(self, models: Iterable[str], at_us: int) -> list[str]:
        """Name the models that have no price."""
        return sorted(model for model in models if self.in_effect(model, at_us) is None)


def price_of(row: Any) -> Price:
    """Read a row of `prices`."""
    return Price(
        id=row.id,
        model=row.model,
        effective_from=row.effective_from,
        effective_to=row.effective_to,
        source=row.source,
        rates=tuple(Rates(**rates) for rates in row.rates),
        per_call_nanousd=row.per_call_nanousd,
    )


def _by_model(prices: Iterable[Price]) -> dict[str, Sequence[Price]]:
    by_model: dict[str, list[Price]] = {}
    for price in sorted(prices, key=lambda p: p.effective_from, reverse=True):
        by_model.setdefault(price.model, []).append(price)
    return {model: tuple(prices) for model, prices in by_model.items()}
