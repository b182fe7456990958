"""Trials of a version: who gets it, how it starts and ends, and what is refused."""

import math
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, update

from router.database.engine import writing
from router.database.learning_tables import Artifact
from router.decision.policy import Policy
from router.ledger.shipping import FOLLOW_EVERY_S, SHIP_EVERY_S
from router.policies import canary_lifecycle, lifecycle
from router.policies.canary_lifecycle import Canary, CanaryState, Mode
from router.policies.dials import WrongPolicy
from router.policies.versions import (
    MASK,
    PolicyAction,
    PolicyBook,
    PolicySnapshot,
    PolicyState,
    import_dials,
    in_force,
    view_of,
)
from router.settings import PolicySettings, ReasoningSettings
from tests.builders.databases import open_books
from tests.builders.proposals import ADA, BOB, WIRING, all_at_once, proposed

REWIRED = WIRING.model_copy(update={"reasoning": ReasoningSettings(model="openai/larger")})


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[Engine]:
    made = open_books(sqlite_url)
    import_dials(made, PolicySettings().model_dump(), 1)
    yield made
    made.dispose()


def started(engine: Engine, share: float = 0.1, mode: Mode = Mode.CANARY, on_success: str = "wait") -> Canary:
    return canary_lifecycle.start(engine, proposed(engine), share, WIRING, ADA, mode=mode, on_success=on_success)


def acts(engine: Engine) -> list[tuple[PolicyAction, int, str]]:
    return [(entry.act, entry.version, entry.author) for entry in lifecycle.history(engine)]


def test_without_a_trial_the_version_in_force_decides_all(engine: Engine) -> None:
    book = PolicyBook(engine)
    assert (book.canary, book.trial, book.snapshot.shadow_of()) == (None, None, None)
    assert {book.snapshot.choose(mark).version for mark in (0, 1, MASK)} == {1}


def test_a_canary_gets_its_share_of_conversations_and_is_logged(engine: Engine) -> None:
    canary = started(engine, 0.25)
    book = PolicyBook(engine)
    marks = [mark * (MASK // 4_001) for mark in range(4_000)]
    chosen = sum(book.snapshot.choose(mark).version == canary.version for mark in marks)
    assert abs(chosen - 1_000) < 200
    assert book.active.version == 1
    log = lifecycle.history(engine)[0]
    assert (log.act, log.previous, log.note) == (PolicyAction.CANARY_STARTED, 1, "share 0.25, then wait: margin fell")
    assert log.changes == {"reasoning_threshold": (0.25, 0.4)}


def test_a_shadow_decides_beside_the_version_in_force_and_answers_nobody(engine: Engine) -> None:
    canary = started(engine, 1.0, Mode.SHADOW)
    book = PolicyBook(engine)
    assert {book.snapshot.choose(mark).version for mark in (0, 1, MASK)} == {1}
    shadow = book.snapshot.shadow_of(MASK)
    assert shadow is not None
    assert shadow.version == canary.version
    assert acts(engine)[0] == (PolicyAction.SHADOW_STARTED, 2, "ada")


def test_beside_either_arm_of_a_canary_the_other_ones_policy_decides_too(engine: Engine) -> None:
    canary = started(engine, 0.5)
    book = PolicyBook(engine)
    for mark in (number * (MASK // 40) for number in range(40)):
        beside = book.snapshot.shadow_of(mark)
        assert beside is not None
        assert {book.snapshot.choose(mark).version, beside.version} == {canary.control, canary.version}


def test_nothing_is_drawn_while_nothing_is_on_trial(engine: Engine) -> None:
    def draw() -> int:
        raise AssertionError("nobody asks for the bucket")

    active, beside = PolicyBook(engine).assign(draw)
    assert (active, beside) == (PolicyBook(engine).active, None)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), share=st.floats(0.001, 0.9), version=st.integers(1, 50))
def test_shares_are_right_within_binomial_bounds_and_growing_keeps_those_inside(
    seed: int, share: float, version: int
) -> None:
    small, large = a_view(share, version), a_view(min(share * 1.5, 0.9), version)
    marks = random_marks(seed, 4_000)
    inside = {mark for mark in marks if small.choose(mark).version == version}
    assert abs(len(inside) - share * len(marks)) <= 5 * math.sqrt(len(marks) * share * (1 - share)) + 1
    assert all(large.choose(mark).version == version for mark in inside)
    assert all(small.choose(mark).version == version for mark in inside)


def test_another_version_is_tried_on_other_conversations() -> None:
    marks = random_marks(3, 20_000)
    both = sum(
        all(a_view(0.1, version).choose(mark).version == version for version in (2, 3)) for mark in marks[:4_000]
    )
    assert 15 < both < 70  # 40 by chance, 400 if they were the same ones


def random_marks(seed: int, count: int) -> list[int]:
    dice = random.Random(seed)
    return [dice.getrandbits(64) for _ in range(count)]


def a_view(share: float, version: int) -> PolicySnapshot:
    canary = Canary(1, version, 0, Mode.CANARY, share, 0, None, "wait", CanaryState.RUNNING, None, "ada", "")
    return view_of(Policy(0), canary, Policy(version))


def test_a_canary_over_another_canary_is_refused(engine: Engine) -> None:
    other = proposed(engine, 0.5)
    canary = started(engine)
    with pytest.raises(WrongPolicy, match="version 3 answers in place of version 1"):
        canary_lifecycle.start(engine, other, 0.1, WIRING, BOB)
    assert canary_lifecycle.running(engine) == canary


def test_activating_past_a_canary_is_refused(engine: Engine) -> None:
    other = proposed(engine, 0.5)
    canary = started(engine)
    with pytest.raises(WrongPolicy, match="version 3 is on trial; stop that first"):
        lifecycle.activate(engine, other, WIRING, BOB)
    assert (canary_lifecycle.running(engine), in_force(engine).version) == (canary, 1)


@pytest.mark.parametrize(
    ("share", "options", "says"),
    [
        (0.0, {}, "share: must be above 0 and at most 0.9"),
        (0.95, {}, "share: must be above 0 and at most 0.9"),
        (math.nan, {}, "share: must be"),
        (1.1, {"mode": "shadow"}, "at most 1 of the conversations"),
        (0.1, {"mode": "half"}, "mode: must be one of canary, shadow"),
        (0.1, {"on_success": "cheer"}, "on_success: must be wait or activate"),
        (0.1, {"mode": "shadow", "on_success": "activate"}, "a shadow acts on nothing"),
    ],
)
def test_a_trial_that_makes_no_sense_is_named(engine: Engine, share: float, options: dict[str, str], says: str) -> None:
    with pytest.raises(WrongPolicy, match=says):
        canary_lifecycle.start(engine, proposed(engine), share, WIRING, ADA, **options)
    assert canary_lifecycle.running(engine) is None


def test_what_is_in_force_or_unknown_or_too_late_is_not_tried(engine: Engine) -> None:
    late, first = proposed(engine, 0.4), proposed(engine, 0.5)
    lifecycle.activate(engine, first, WIRING, ADA)
    for version, says in ((first, "in force already"), (9, "no policy version 9"), (late, "on top of version 1, but")):
        with pytest.raises(WrongPolicy, match=says):
            canary_lifecycle.start(engine, version, 0.1, WIRING, ADA)


def test_before_anything_is_in_force_there_is_nothing_to_compare_with(sqlite_url: str) -> None:
    engine = open_books(sqlite_url)
    with pytest.raises(WrongPolicy, match="no version is in force"):
        canary_lifecycle.start(engine, proposed(engine), 0.1, WIRING, ADA)
    engine.dispose()


def test_a_version_validated_under_another_configuration_is_neither_tried_nor_activated(engine: Engine) -> None:
    version = proposed(engine)
    with pytest.raises(WrongPolicy, match=f"tierwise policy validate {version}"):
        canary_lifecycle.start(engine, version, 0.1, REWIRED, ADA)
    with pytest.raises(WrongPolicy, match="before the configuration of the tiers changed"):
        lifecycle.activate(engine, version, REWIRED, ADA)
    lifecycle.validate(engine, version, REWIRED, BOB)
    assert acts(engine)[0] == (PolicyAction.VALIDATED, version, "bob")
    lifecycle.activate(engine, version, REWIRED, ADA)
    assert in_force(engine).version == version


def test_a_policy_that_names_an_unknown_classifier_is_refused(engine: Engine) -> None:
    with pytest.raises(WrongPolicy, match="no artefact 'own-1' is stored"):
        lifecycle.propose(engine, {"classifier": "own-1"}, WIRING, ADA)


def test_a_version_whose_classifier_was_withdrawn_is_neither_tried_nor_activated(engine: Engine) -> None:
    row = {"version": "own-1", "created_at": 1, "author": "ada", "sha256": "", "card": "", "blob": b""}
    with writing(engine) as connection:
        connection.execute(insert(Artifact).values(state="stored", **row))
    version = lifecycle.propose(engine, {"classifier": "own-1"}, WIRING, ADA)
    with writing(engine) as connection:
        connection.execute(update(Artifact).values(state="withdrawn"))
    with pytest.raises(WrongPolicy, match="no artefact 'own-1'"):
        canary_lifecycle.start(engine, version, 0.1, WIRING, ADA)
    with pytest.raises(WrongPolicy, match="no artefact 'own-1'"):
        lifecycle.activate(engine, version, WIRING, ADA)


def test_stopping_ends_the_trial_that_was_meant(engine: Engine) -> None:
    first = started(engine)
    canary_lifecycle.stop(engine, BOB, first.id)
    with pytest.raises(WrongPolicy, match="nothing to stop"):
        canary_lifecycle.stop(engine, BOB)
    second = canary_lifecycle.start(engine, first.version, 0.2, WIRING, ADA)
    with pytest.raises(WrongPolicy, match="ended by now; version 2 answers in place of version 1"):
        canary_lifecycle.stop(engine, BOB, first.id)
    assert [canary.state for canary in canary_lifecycle.history(engine)] == [CanaryState.RUNNING, CanaryState.STOPPED]
    assert canary_lifecycle.running(engine) == second
    assert lifecycle.version_of(engine, 2).state is PolicyState.PROPOSED


def test_activating_what_is_on_trial_ends_the_trial(engine: Engine) -> None:
    canary = started(engine)
    lifecycle.activate(engine, canary.version, WIRING, BOB)
    assert canary_lifecycle.history(engine)[0].state is CanaryState.ACTIVATED
    assert (canary_lifecycle.running(engine), in_force(engine).version) == (None, 2)


def test_a_trial_ends_with_the_version_it_stands_on(engine: Engine) -> None:
    base = proposed(engine, 0.3)
    lifecycle.activate(engine, base, WIRING, ADA)
    started(engine)
    lifecycle.roll_back(engine, BOB)
    [ended] = canary_lifecycle.history(engine)
    assert ended.state is CanaryState.STOPPED
    assert (PolicyAction.CANARY_STOPPED, 3, "bob") in acts(engine)
    assert PolicyBook(engine).trial is None


def test_dials_of_the_file_that_come_in_end_a_trial(engine: Engine) -> None:
    started(engine)
    import_dials(engine, PolicySettings.model_validate({"explore": 0.3}).model_dump(), 9)
    assert canary_lifecycle.running(engine) is None
    assert lifecycle.history(engine)[1].note == "the dials of the configuration file changed"


def test_the_guard_rolls_back_once_with_its_reason(engine: Engine) -> None:
    canary = started(engine)
    assert canary_lifecycle.roll_back(engine, canary.id, "margin fell by 20 %", 11)
    assert not canary_lifecycle.roll_back(engine, canary.id, "margin fell by 30 %", 12)
    [ended] = canary_lifecycle.history(engine)
    assert (ended.state, ended.verdict, ended.ended_at_us) == (CanaryState.ROLLED_BACK, "margin fell by 20 %", 11)
    log = lifecycle.history(engine)[0]
    assert (log.act, log.author, log.note) == (PolicyAction.CANARY_ROLLED_BACK, "tierwise", "margin fell by 20 %")
    assert in_force(engine).version == 1


def test_a_canary_that_passed_waits_for_a_person_and_goes_on(engine: Engine) -> None:
    canary = started(engine, 0.5)
    assert canary_lifecycle.pass_canary(engine, canary.id, "no guard was crossed", 11)
    assert not canary_lifecycle.pass_canary(engine, canary.id, "no guard was crossed", 12)
    waiting = canary_lifecycle.running(engine)
    assert waiting is not None
    assert (waiting.state, waiting.ended_at_us) == (CanaryState.WAITING, None)
    assert PolicyBook(engine).trial is not None
    assert canary_lifecycle.roll_back(engine, canary.id, "it hurts after all", 13)


def test_a_canary_that_passed_comes_in_force_where_that_was_set(engine: Engine) -> None:
    canary = started(engine, on_success="activate")
    assert canary_lifecycle.pass_canary(engine, canary.id, "no guard was crossed", 11, WIRING)
    assert (canary_lifecycle.running(engine), in_force(engine).version) == (None, canary.version)
    assert acts(engine)[:2] == [(PolicyAction.ACTIVATED, 2, "tierwise"), (PolicyAction.CANARY_PASSED, 2, "tierwise")]


def test_a_canary_that_passed_under_another_configuration_waits(engine: Engine) -> None:
    canary = started(engine, on_success="activate")
    assert canary_lifecycle.pass_canary(engine, canary.id, "no guard was crossed", 11, REWIRED)
    assert in_force(engine).version == 1
    assert canary_lifecycle.history(engine)[0].state is CanaryState.WAITING


def test_of_many_who_start_at_once_one_does(empty_url: str) -> None:
    engine = open_books(empty_url)
    import_dials(engine, PolicySettings().model_dump(), 1)
    versions = [proposed(engine, 0.4 + place / 100) for place in range(4)]
    done = all_at_once(lambda version: canary_lifecycle.start(engine, version, 0.1, WIRING, ADA), versions)
    [canary] = canary_lifecycle.history(engine)
    assert done == [canary.version]
    engine.dispose()


def test_workers_on_one_database_follow_together(empty_url: str) -> None:
    here, there = open_books(empty_url), open_books(empty_url)
    import_dials(here, PolicySettings().model_dump(), 1)
    books = PolicyBook(here), PolicyBook(there)
    held = books[1].snapshot.choose(5)
    canary = started(here, 0.9)
    for book in books:
        book.refresh()
    marks = random_marks(1, 500)
    assert [books[0].snapshot.choose(mark).version for mark in marks] == [
        books[1].snapshot.choose(mark).version for mark in marks
    ]
    lifecycle.activate(there, canary.version, WIRING, BOB)
    for book in books:
        book.refresh()
    assert [book.active.version for book in books] == [2, 2]
    assert [book.canary for book in books] == [None, None]
    assert held.version == 1
    assert FOLLOW_EVERY_S + SHIP_EVERY_S < 2
    here.dispose()
    there.dispose()


def test_a_version_that_is_known_stays_the_same_object(engine: Engine) -> None:
    started(engine)
    book = PolicyBook(engine)
    active, trial = book.active, book.trial
    book.refresh()
    assert book.active is active
    assert book.trial is trial
