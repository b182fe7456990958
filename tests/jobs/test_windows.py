"""What a provider sells to who can wait, as far as prices are known."""

import pytest

from router.errors import InvalidRequest
from router.jobs.windows import CompletionWindow, put_in_window, windows_of
from router.ledger.prices import Price, Rates
from tests.jobs.rehearsal import a_recipe

SOONEST, TWO, EIGHT = CompletionWindow
STANDARD, FLEX = Rates(100, 200), Rates(50, 100, service="flex")
WINDOW = Rates(60, 120, service="8h")


def prices(**rates: tuple[Rates, ...]) -> dict[str, Price]:
    return {f"model/{name}": Price(1, f"model/{name}", 0, None, "test", found) for name, found in rates.items()}


def test_only_what_has_a_price_is_offered() -> None:
    recipe = a_recipe()
    assert windows_of(recipe, prices(a=(STANDARD,)).get) == [SOONEST]
    assert windows_of(recipe, prices(a=(STANDARD, WINDOW)).get) == [SOONEST, EIGHT]
    assert windows_of(recipe, prices(strong=(STANDARD, FLEX)).get) == [SOONEST, TWO, EIGHT]


def test_each_model_is_asked_for_the_service_that_it_has() -> None:
    known = prices(a=(STANDARD, FLEX), b=(STANDARD,), strong=(STANDARD, FLEX, WINDOW))
    recipe = put_in_window(a_recipe(), EIGHT, known.get)
    assert [recipe.service_of(f"model/{name}") for name in ("a", "b", "strong")] == ["flex", None, "8h"]


def test_who_wants_it_soonest_gets_the_usual_service() -> None:
    assert put_in_window(a_recipe(), SOONEST, prices(a=(FLEX,)).get) == a_recipe()


def test_a_window_that_nobody_sells_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="nobody sells 2h for model/a, model/b") as refusal:
        put_in_window(a_recipe(), TWO, prices(a=(STANDARD,)).get)
    assert refusal.value.param == "completion_window"
