"""How long a caller gives a job, and the cheaper service that a provider sells to who can wait. Pure.

A provider's rates for a window stand in the price book under the window's name, or under `flex`, which chat completions
sell to whoever does not mind being refused at times: a job then asks again, and in the end at the standard rate. What
has no such rates is not offered.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from router.errors import InvalidRequest
from router.jobs.recipes import Recipe
from router.ledger.prices import Price

FLEX = "flex"
PriceFinder = Callable[[str], Price | None]


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


def put_in_window(recipe: Recipe, window: CompletionWindow, price_of: PriceFinder) -> Recipe:
    """Have a recipe's models asked for what is sold within a window; raises InvalidRequest where nothing is."""
    if window is CompletionWindow.SOONEST:
        return recipe
    services = services_in(recipe, window, price_of)
    if not services:
        named = ", ".join(dict.fromkeys((*recipe.models, *filter(None, (recipe.finisher,)))))
        raise InvalidRequest(
            f"completion_window: nobody sells {window} for {named}, as far as prices are known; leave it out",
            param="completion_window",
            code="unsupported_value",
        )
    return msgspec.structs.replace(recipe, services=tuple(services.items()))


def windows_of(recipe: Recipe, price_of: PriceFinder) -> list[CompletionWindow]:
    """List the windows that are sold for a recipe, the soonest first."""
    return [
        window
        for window in CompletionWindow
        if window is CompletionWindow.SOONEST or services_in(recipe, window, price_of)
    ]
