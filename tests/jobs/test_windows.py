"""What a provider sells to who can wait, as far as prices are known."""

import pytest

from router.errors import InvalidRequest
from router.jobs.recipes import RecipeName
from router.jobs.windows import CompletionWindow, put_in_window, windows_of
from router.ledger.prices import Price, Rates
from tests.jobs.rehearsal import a_recipe

SOONEST, TWO, EIGHT = CompletionWindow
STANDARD, FLEX = Rates(100, 200), Rates(50, 100, service="flex")
WINDOW = Rates(60, 120, service="8h")
IN_BATCH = Rates(50, 100, service="batch")


def nobody(model: str) -> bool:
    """Tell whether a model is sent batches."""
    return False


def only_a(model: str) -> bool:
    return model == "model/a"


def prices(**rates: tuple[Rates, ...]) -> dict[str, Price]:
    return {f"model/{name}": Price(1, f"model/{name}", 0, None, "test", found) for name, found in rates.items()}


def test_only_what_has_a_price_is_offered() -> None:
    recipe = a_recipe()
    assert windows_of(recipe, prices(a=(STANDARD,)).get, nobody) == [SOONEST]
    assert windows_of(recipe, prices(a=(STANDARD, WINDOW)).get, nobody) == [SOONEST, EIGHT]
    assert windows_of(recipe, prices(strong=(STANDARD, FLEX)).get, nobody) == [SOONEST, TWO, EIGHT]


def test_each_model_is_asked_for_the_service_that_it_has() -> None:
    known = prices(a=(STANDARD, FLEX), b=(STANDARD,), strong=(STANDARD, FLEX, WINDOW))
    recipe = put_in_window(a_recipe(), EIGHT, known.get, nobody)
    assert [recipe.service_of(f"model/{name}") for name in ("a", "b", "strong")] == ["flex", None, "8h"]


def test_who_wants_it_soonest_gets_the_usual_service() -> None:
    assert put_in_window(a_recipe(), SOONEST, prices(a=(FLEX,)).get, nobody) == a_recipe()


def test_a_window_that_nobody_sells_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="nobody sells 2h for model/a, model/b") as refusal:
        put_in_window(a_recipe(), TWO, prices(a=(STANDARD,)).get, nobody)
    assert refusal.value.param == "completion_window"


def test_waves_are_bought_as_batches_where_the_configuration_and_the_prices_say_so() -> None:
    known = prices(a=(STANDARD, IN_BATCH), b=(STANDARD, IN_BATCH))
    recipe = put_in_window(a_recipe(), TWO, known.get, only_a)
    assert (recipe.batched, recipe.service_of("model/a"), recipe.waves[0]) == (("model/a",), None, 8)
    assert windows_of(a_recipe(), known.get, only_a) == [SOONEST, TWO, EIGHT]
    assert windows_of(a_recipe(), known.get, nobody) == [SOONEST]
    assert windows_of(a_recipe(), prices(a=(STANDARD,)).get, only_a) == [SOONEST]


def test_few_samples_are_not_worth_a_batch() -> None:
    known = prices(a=(STANDARD, IN_BATCH, FLEX))
    recipe = put_in_window(a_recipe(name=RecipeName.VOTE, samples=3), TWO, known.get, only_a)
    assert (recipe.batched, recipe.service_of("model/a")) == ((), "flex")
    assert put_in_window(a_recipe(), SOONEST, known.get, only_a).batched == ()
