"""Where prices come from: configuration, map and house defaults; every change leaves history as it was."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from router.database.engine import exclusive
from router.ledger import pricelist
from router.ledger.pricelist import StatedRates
from router.ledger.prices import PriceBook
from router.types import Usage

NANO = "openai/gpt-5-nano"


@dataclass(frozen=True)
class Stated:
    input: Decimal = Decimal("0.05")
    output: Decimal = Decimal("0.40")
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    thinking: Decimal | None = None
    per_call: Decimal | None = None
    services: Mapping[str, StatedRates] = field(default_factory=dict)


def test_the_map_prices_a_known_model_with_its_tiers() -> None:
    quote = pricelist.quote_of_map("openai/gpt-5.4")
    assert quote is not None
    standard, long = quote.rates[0], quote.rates[1]
    assert (standard.input, standard.cached_input, standard.output) == (2_500_000, 250_000, 15_000_000)
    assert (long.above_tokens, long.input, long.output) == (272_000, 5_000_000, 22_500_000)
    assert {rates.service for rates in quote.rates} == {"standard", "flex", "priority", "batch"}


def test_anthropic_is_found_without_its_prefix_and_has_cache_writes() -> None:
    quote = pricelist.quote_of_map("anthropic/claude-haiku-4-5")
    assert quote is not None
    assert (quote.rates[0].cache_write, quote.rates[0].cached_input) == (1_250_000, 100_000)


def test_a_service_tier_out_of_all_proportion_is_left_out() -> None:
    quote = pricelist.quote_of_map(NANO)
    assert quote is not None
    assert "priority" not in {rates.service for rates in quote.rates}
    assert any("priority is left out" in doubt for doubt in quote.doubts) or not quote.doubts


@pytest.mark.parametrize("model", ["ollama/llama3", "openai/no-such-model", "nobody/gpt-5-nano"])
def test_zero_and_unknown_are_no_price(model: str) -> None:
    assert pricelist.quote(model, {}) is None


def test_models_of_the_house_have_a_stated_default() -> None:
    quote = pricelist.quote("embedded/smollm2", {})
    assert quote is not None
    assert (quote.rates[0].input, quote.rates[0].output, quote.source) == (20_000, 80_000, "builtin")


def test_configuration_beats_the_map_from_the_moment_it_says_so(engine: Engine) -> None:
    pricelist.sync(engine, [NANO], {}, 1_000)
    pricelist.sync(engine, [NANO], {NANO: Stated(input=Decimal("1"))}, 2_000)
    book = PriceBook.load(engine)
    before, after = book.in_effect(NANO, 1_999), book.in_effect(NANO, 2_000)
    assert before is not None
    assert after is not None
    assert (before.source, after.source) == ("map", "config")
    assert after.cost(Usage(input_fresh=1_000_000)) == 1_000_000_000


def test_a_model_that_leaves_the_configuration_goes_back_to_the_map(engine: Engine) -> None:
    pricelist.sync(engine, [NANO], {NANO: Stated()}, 1_000)
    pricelist.sync(engine, [NANO], {}, 2_000)
    found = PriceBook.load(engine).in_effect(NANO, 2_000)
    assert found is not None
    assert found.source == "map"


def test_a_price_nobody_states_any_more_ends(engine: Engine) -> None:
    pricelist.sync(engine, [], {"ollama/mine": Stated()}, 1_000)
    pricelist.sync(engine, ["ollama/mine"], {}, 2_000)
    book = PriceBook.load(engine)
    assert book.in_effect("ollama/mine", 1_999) is not None
    assert book.in_effect("ollama/mine", 2_000) is None


def test_starting_again_changes_nothing(engine: Engine) -> None:
    for now in (1_000, 2_000, 3_000):
        pricelist.sync(engine, [NANO, "embedded/smollm2"], {"x/y": Stated()}, now)
    assert len(PriceBook.load(engine).by_id()) == 3


def test_the_first_price_holds_from_the_beginning(engine: Engine) -> None:
    pricelist.sync(engine, [NANO], {}, 5_000)
    assert PriceBook.load(engine).in_effect(NANO, 1) is not None


def test_an_unusual_change_is_marked(engine: Engine) -> None:
    pricelist.sync(engine, [], {NANO: Stated(input=Decimal("0.02"), cached_input=Decimal("0.005"))}, 1_000)
    quote = pricelist.quote_of_map(NANO)
    assert quote is not None
    with exclusive(engine) as connection:
        lines = pricelist.changes(pricelist.current_rows(connection)[NANO], quote)
    assert "! input 0.02 -> 0.05" in lines
    assert not any("output 0.4" in line for line in lines)


def test_the_configuration_names_what_is_sold_to_who_can_wait() -> None:
    quote = pricelist.quote_of_config("x/y", Stated(services={"8h": Stated(Decimal("0.03"), Decimal("0.24"))}))
    assert [(rates.service, rates.input, rates.output) for rates in quote.rates] == [
        ("standard", 50_000, 400_000),
        ("8h", 30_000, 240_000),
    ]
