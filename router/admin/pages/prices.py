"""Prices: what a token of each model costs, what it cost before, which models have no price; and a new price."""

from collections.abc import Mapping

from router.admin.page import Done, FormAction, JsonFeed, NotDone, Page, Visit
from router.admin.queries import prices
from router.ledger import pricelist
from router.ledger.pricelist import OPERATOR, Quote
from router.ledger.prices import Rates
from router.money import nano_from_usd, price_from_usd_per_million

KINDS = ("input", "output", "cached_input", "cache_write", "thinking")


def show(visit: Visit) -> Mapping[str, object]:
    """Show the price book."""
    settings = visit.services.settings
    return {
        "book": prices.read(visit.services.engine, sorted(settings.model_names())),
        "by_file": sorted(settings.prices),
        "model": visit.given.get("model", visit.query.get("model", "")),
    }


def feed(visit: Visit) -> object:
    """Return the price book as JSON."""
    book = prices.read(visit.services.engine, sorted(visit.services.settings.model_names()))
    return {"current": book.current, "past": book.past, "unpriced": book.unpriced}


def put(visit: Visit) -> Done:
    """Put a price into effect now."""
    model, note = visit.text("model", 200), visit.text("note")
    if "/" not in model or " " in model:
        raise NotDone("a model is PROVIDER/MODEL, as in the configuration")
    if model in visit.services.settings.prices:
        raise NotDone(f"the configuration file sets the price of {model}; change it there")
    if not note:
        raise NotDone("say where the price comes from")
    given = {name: visit.text(name, 40) for name in (*KINDS, "per_call")}
    if not given["input"] or not given["output"]:
        raise NotDone("a price needs at least input and output, in dollars per million tokens")
    pico = {name: None if not given[name] else price_from_usd_per_million(given[name]) for name in KINDS}
    per_call = nano_from_usd(given["per_call"]) if given["per_call"] else 0
    if per_call < 0 or any(value is not None and value < 0 for value in pico.values()):
        raise NotDone("a price is no less than 0")
    rates = Rates(
        input=pico["input"] or 0,
        output=pico["output"] or 0,
        cached_input=pico["cached_input"],
        cache_write=pico["cache_write"],
        thinking=pico["thinking"],
    )
    quote = Quote(model, OPERATOR, f"{visit.actor}: {note}", (rates,), per_call)
    now_us = visit.services.now_us()
    pricelist.put(visit.services.engine, quote, now_us, visit.hook("price set", model, note))
    return Done(f"{model} has a new price. It counts for calls from now on, within two seconds.", "prices")


PAGE = Page("prices", "Prices", show, acts=(FormAction("put", put),), feeds=(JsonFeed("prices", feed),))
