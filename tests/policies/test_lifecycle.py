"""Proposing, activating, rolling back: nothing is lost when two act at once, and the log knows all of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from router.database import schema
from router.database.engine import open_engine, writing
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.policies import lifecycle
from router.policies.dials import WrongPolicy
from router.policies.lifecycle import Actor
from router.policies.versions import PolicyAction, PolicyBook, PolicyState, import_dials, in_force
from router.settings import ParallelSettings, PolicySettings
from tests.builders.databases import open_books
from tests.builders.proposals import ADA, BOB, WIRING, all_at_once, proposed


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[Engine]:
    made = open_books(sqlite_url)
    import_dials(made, PolicySettings().model_dump(), 1)
    yield made
    made.dispose()


def activated(engine: Engine, reasoning_threshold: float = 0.4, actor: Actor = ADA) -> int:
    version = proposed(engine, reasoning_threshold, actor)
    lifecycle.activate(engine, version, WIRING, actor)
    return version


def test_a_proposal_decides_nothing_yet(engine: Engine) -> None:
    version = proposed(engine)
    assert in_force(engine).version == 1
    found = lifecycle.version_of(engine, version)
    assert (found.state, found.parent, found.author, found.note) == (PolicyState.PROPOSED, 1, "ada", "margin fell")
    assert found.changes == {"reasoning_threshold": (0.25, 0.4)}


def test_an_activated_version_is_in_force_and_the_one_before_retired(engine: Engine) -> None:
    version = activated(engine)
    assert (in_force(engine).version, in_force(engine).reasoning_threshold) == (version, 0.4)
    assert lifecycle.version_of(engine, 1).state is PolicyState.RETIRED


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"reasoning_threshold": 3.0}, "reasoning_threshold: must be"),
        ({"reasoning_threshold": 0.05}, "is above reasoning_threshold"),
        ({"patience": 1.0}, "unknown dial 'patience'"),
        ({"reasoning_threshold": 0.25}, "this changes nothing"),
    ],
)
def test_a_wrong_proposal_is_named_and_not_written(engine: Engine, changes: dict[str, float], says: str) -> None:
    with pytest.raises(WrongPolicy, match=says):
        lifecycle.propose(engine, changes, WIRING, ADA)
    assert len(lifecycle.history(engine)) == 1


def test_of_two_who_act_at_once_the_second_is_told(engine: Engine) -> None:
    first, second = proposed(engine, 0.4), proposed(engine, 0.5, BOB)
    lifecycle.activate(engine, first, WIRING, ADA)
    with pytest.raises(WrongPolicy, match="proposed on top of version 1, but version 2 is in force"):
        lifecycle.activate(engine, second, WIRING, BOB)
    assert in_force(engine).version == first


def test_of_two_who_save_on_what_they_saw_the_second_is_told(engine: Engine) -> None:
    seen = in_force(engine).version
    activated(engine)
    with pytest.raises(WrongPolicy, match="version 1 was in force when you began, version 2 is now"):
        lifecycle.propose(engine, {"explore": 0.02}, WIRING, BOB, base=seen)
    assert len(lifecycle.history(engine)) == 3
    assert lifecycle.propose(engine, {"explore": 0.02}, WIRING, BOB, base=2) == 3


def test_a_version_is_not_activated_twice(engine: Engine) -> None:
    version = activated(engine)
    with pytest.raises(WrongPolicy, match="in force already"):
        lifecycle.activate(engine, version, WIRING, BOB)


def test_a_version_that_the_wiring_contradicts_by_now_is_refused(engine: Engine) -> None:
    version = proposed(engine)
    rewired = WIRING.model_copy(update={"parallel": ParallelSettings(models=("openai/large",))})
    with pytest.raises(WrongPolicy, match=f"tierwise policy validate {version}"):
        lifecycle.activate(engine, version, rewired, ADA)
    with pytest.raises(WrongPolicy, match="samples the reasoning model"):
        lifecycle.validate(engine, version, rewired, ADA)


def test_a_version_that_does_not_exist_is_named(engine: Engine) -> None:
    with pytest.raises(WrongPolicy, match="no policy version 9"):
        lifecycle.activate(engine, 9, WIRING, ADA)


def test_rolling_back_puts_the_parent_in_force_as_an_act_of_its_own(engine: Engine) -> None:
    version = activated(engine)
    assert lifecycle.roll_back(engine, BOB) == 1
    assert in_force(engine).version == 1
    last = lifecycle.history(engine)[0]
    assert (last.act, last.version, last.previous, last.author, last.note, last.created_at_us) == (
        PolicyAction.ROLLED_BACK,
        1,
        version,
        "bob",
        "quality fell",
        8,
    )


def test_rolling_back_twice_goes_further_back_and_not_to_and_fro(engine: Engine) -> None:
    activated(engine, 0.4)
    activated(engine, 0.5)
    assert [lifecycle.roll_back(engine, BOB), lifecycle.roll_back(engine, BOB)] == [2, 1]
    with pytest.raises(WrongPolicy, match="the first"):
        lifecycle.roll_back(engine, BOB)


def test_two_who_roll_the_same_version_back_go_back_once(engine: Engine) -> None:
    activated(engine, 0.4)
    version = activated(engine, 0.5)
    lifecycle.roll_back(engine, ADA, undone=version)
    with pytest.raises(WrongPolicy, match="version 3 is not in force, version 2 is"):
        lifecycle.roll_back(engine, BOB, undone=version)


def test_what_was_rolled_back_can_be_activated_again(engine: Engine) -> None:
    version = activated(engine)
    lifecycle.roll_back(engine, BOB)
    lifecycle.activate(engine, version, WIRING, ADA)
    assert in_force(engine).version == version


def test_the_log_tells_who_did_what_and_what_it_changed(engine: Engine) -> None:
    activated(engine)
    lifecycle.roll_back(engine, BOB)
    log = [(entry.author, entry.act, entry.version, dict(entry.changes)) for entry in lifecycle.history(engine)]
    up, down = {"reasoning_threshold": (0.25, 0.4)}, {"reasoning_threshold": (0.4, 0.25)}
    assert log == [
        ("bob", PolicyAction.ROLLED_BACK, 1, down),
        ("ada", PolicyAction.ACTIVATED, 2, up),
        ("ada", PolicyAction.PROPOSED, 2, up),
        ("config", PolicyAction.ACTIVATED, 1, {}),
    ]


def test_dials_of_the_file_that_come_in_between_are_not_overwritten(engine: Engine) -> None:
    version = proposed(engine)
    import_dials(engine, PolicySettings.model_validate({"explore": 0.3}).model_dump(), 9)
    with pytest.raises(WrongPolicy, match="but version 3 is in force"):
        lifecycle.activate(engine, version, WIRING, ADA)


@pytest.mark.parametrize("actor", [(" ", ""), ("a", "x" * 3_000)])
def test_acts_have_an_author_and_notes_an_end(actor: tuple[str, str]) -> None:
    with pytest.raises(WrongPolicy):
        Actor(*actor, 1)


def test_of_many_who_activate_at_once_one_does(empty_url: str) -> None:
    engine = open_books(empty_url)
    import_dials(engine, PolicySettings().model_dump(), 1)
    versions = [proposed(engine, 0.4 + place / 100) for place in range(4)]
    done = all_at_once(lambda version: lifecycle.activate(engine, version, WIRING, ADA), versions)
    assert done == [in_force(engine).version]
    engine.dispose()


def test_versions_from_before_the_log_are_in_it(empty_url: str) -> None:
    schema.migrate(empty_url, "0002")
    engine = open_engine(empty_url)
    with writing(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO policy_versions (version, author, note, created_at, state, body) "
                "VALUES (1, 'config', 'file', 5, 'active', '{}')"
            )
        )
    schema.migrate(engine)
    assert [(entry.act, entry.author, entry.created_at_us) for entry in lifecycle.history(engine)] == [
        (PolicyAction.ACTIVATED, "config", 5)
    ]
    engine.dispose()


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.ms = 0.0

    def now_us(self) -> int:
        return int(self.ms * 1_000)

    def ticks_ms(self) -> float:
        return self.ms


def test_a_running_server_follows_within_two_seconds_and_what_is_under_way_does_not(
    engine: Engine, tmp_path: Path
) -> None:
    clock, book = Clock(), PolicyBook(engine)
    spool = Spool.open(tmp_path / "spool")
    shipper = Shipper(spool, engine, clock=clock)
    shipper.follow(book.refresh, "policies")
    shipper.turn()
    held = book.active
    version = activated(engine)
    clock.ms += 1_900
    shipper.turn()
    assert (book.active.version, held.version) == (version, 1)
    spool.close()
