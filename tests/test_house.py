"""The bars of the house: how many rooms there are, what they are called, and how often a request changes them."""

import pytest

from scripts import house


def test_few_modules_stand_at_the_top() -> None:
    assert len(house.modules_at_the_top()) <= house.TOP_BAR


def test_the_contract_between_rooms_is_short() -> None:
    layers, names = house.layers_of_the_contract()
    assert layers <= house.LAYERS_BAR
    assert names <= house.NAMES_BAR


def test_no_two_public_classes_have_one_name() -> None:
    assert house.classes_named_twice() == []


def test_functions_named_by_a_participle_are_few_and_pure_transforms() -> None:
    functions = list(house.all_functions())
    participles = [function for function in functions if house.is_participle(function.name)]
    assert len(participles) <= house.PARTICIPLE_BAR * len(functions)
    assert [function for function in participles if function.name not in house.PURE_TRANSFORMS] == []


def test_a_request_changes_rooms_seldom_on_its_way_to_a_decision() -> None:
    rooms = house.rooms_on_the_way()
    assert (rooms[0], rooms[-1]) == ("exchange", "decision")
    assert house.changes(rooms) <= house.CHANGES_BAR, " > ".join(rooms)


@pytest.mark.parametrize("name", ["kept_rows", "_opened", "found", "told_apart"])
def test_a_participle_is_told_by_the_first_word(name: str) -> None:
    assert house.is_participle(name)


@pytest.mark.parametrize("name", ["read", "_put_back", "run", "feed", "embed", "proceed", "is_settled", "list_damaged"])
def test_verbs_that_look_like_participles_are_none(name: str) -> None:
    assert not house.is_participle(name)
