"""How long a caller gives a job, and the cheaper services that a provider sells to who can wait. Pure.

A provider's rates for a window stand in the price book under the window's name, or under `flex`, which chat completions
sell to whoever does not mind being refused at times: a job then asks again, and in the end at the standard rate. What
has no such rates is not offered. Waves of samples are bought as batches where the configuration says that the provider
takes them, and the price book has rates under `batch`.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import msgspec

from router.errors import InvalidRequest
from router.jobs.recipes import BATCHED_VERSION, Recipe, RecipeName
from router.ledger.prices import BATCH, Price

FLEX = "flex"
LEAST_IN_BATCH = 4  # samples of one model
BATCH_WAVES = (8, 8, 16, 32, 64, 128)  # a batch of a few takes as long as one of many, and its samples cost half
PriceFinder = Callable[[str], Price | None]
TakesBatches = Callable[[str], bool]


class CompletionWindow(StrEnum):
    """By when an answer is wanted."""

    SOONEST = "soonest"
    TWO_HOURS = "2h"
    EIGHT_HOURS = "8h"

    @property
    def seconds(self) -> int | None:
        """How long it is; None for as soon as can be."""
        return {self.TWO_HOURS: 7_200, self.EIGHT_HOURS: 28_800}.get(self)


def service_in(price: Price | None, window: CompletionWindow) -> str | None:
    """Name the service tier that a model is asked for within a window; None where its provider sells none."""
    if price is None or window is CompletionWindow.SOONEST:
        return None
    sold = {rates.service for rates in price.rates}
    return next((service for service in (window, FLEX) if service in sold), None)


def services_in(recipe: Recipe, window: CompletionWindow, price_of: PriceFinder) -> Mapping[str, str]:
    """Return the service tier that each model of a recipe is asked for within a window, those that sell one.

    A judge, who says a letter, is always asked at once.
    """
    models = sorted({*recipe.models, *filter(None, (recipe.finisher,))})
    found = {model: service_in(price_of(model), window) for model in models}
    return {model: str(service) for model, service in found.items() if service is not None}


def batches_in(
    recipe: Recipe, window: CompletionWindow, price_of: PriceFinder, takes_batches: TakesBatches
) -> Sequence[str]:
    """List the models of a recipe whose waves are bought as batches within a window."""
    if window is CompletionWindow.SOONEST or recipe.name is RecipeName.SINGLE or recipe.samples < LEAST_IN_BATCH:
        return ()
    models = [model for model in dict.fromkeys(recipe.models) if takes_batches(model)]
    prices = {model: price_of(model) for model in models}
    return [m for m, price in prices.items() if price is not None and any(r.service == BATCH for r in price.rates)]


def put_in_window(
    recipe: Recipe, window: CompletionWindow, price_of: PriceFinder, takes_batches: TakesBatches
) -> Recipe:
    """Have a recipe's models asked for what is sold within a window; raises InvalidRequest where nothing is."""
    if window is CompletionWindow.SOONEST:
        return recipe
    services = services_in(recipe, window, price_of)
    batched = batches_in(recipe, window, price_of, takes_batches)
    if not services and not batched:
        named = ", ".join(dict.fromkeys((*recipe.models, *filter(None, (recipe.finisher,)))))
        raise InvalidRequest(
            f"completion_window: nobody sells {window} for {named}, as far as prices are known; leave it out",
            param="completion_window",
            code="unsupported_value",
        )
    recipe = msgspec.structs.replace(recipe, services=tuple(services.items()))
    if not batched:
        return recipe
    waves = tuple(max(size, LEAST_IN_BATCH * len(recipe.models)) for size in BATCH_WAVES)
    return msgspec.structs.replace(recipe, batched=tuple(batched), waves=waves, version=BATCHED_VERSION)


def windows_of(recipe: Recipe, price_of: PriceFinder, takes_batches: TakesBatches) -> list[CompletionWindow]:
    """List the windows that are sold for a recipe, the soonest first."""
    return [
        window
        for window in CompletionWindow
        if window is CompletionWindow.SOONEST
        or services_in(recipe, window, price_of)
        or batches_in(recipe, window, price_of, takes_batches)
    ]
