"""Versions of the policy in the database; what a policy decides is tested beside it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from router.database.engine import writing
from router.database.tables import PolicyVersion
from router.decision.policy import DIALS
from router.policies.dials import dials_of
from router.policies.versions import (
    PolicyBook,
    default_policy_beside,
    import_dials,
    in_force,
    policy_of,
    policy_of_file,
)
from router.settings import PolicySettings
from tests.builders.databases import open_books

# As if `explore` had come in a later release than the others: new policies get .01, stored versions had none.
LATER = {**DIALS, "explore": replace(DIALS["explore"], stored_default=0.0)}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_books(f"sqlite:///{tmp_path}/books.db")
    yield made
    made.dispose()


def dials(**changes: Any) -> dict[str, Any]:
    return PolicySettings(**changes).model_dump()


def stored(**changes: Any) -> dict[str, Any]:
    return dials_of(policy_of_file(dials(**changes)))


def versions(engine: Engine) -> list[tuple[int, str, str]]:
    with engine.connect() as connection:
        rows = connection.execute(select(PolicyVersion.__table__).order_by(PolicyVersion.version)).all()
    return [(row.version, row.author, row.state) for row in rows]


def activate_by_hand(engine: Engine, **body: float) -> None:
    """Do as an operator does who activates a version."""
    with writing(engine) as connection:
        connection.execute(update(PolicyVersion).values(state="retired"))
        row = {"author": "ada", "note": "try", "created_at": 5, "state": "active", "body": stored(**body)}
        connection.execute(insert(PolicyVersion).values(**row))


def test_without_any_version_the_defaults_are_in_force(engine: Engine) -> None:
    assert in_force(engine).version == 0
    assert in_force(engine).reasoning_threshold == 0.25


def test_the_files_dials_become_the_active_version(engine: Engine) -> None:
    version = import_dials(engine, dials(reasoning_threshold=0.4), 1)
    assert (in_force(engine).version, in_force(engine).reasoning_threshold) == (version, 0.4)
    assert versions(engine) == [(1, "config", "active")]


def test_a_restart_with_the_same_file_changes_nothing(engine: Engine) -> None:
    import_dials(engine, dials(), 1)
    assert import_dials(engine, dials(), 2) is None
    assert len(versions(engine)) == 1


def test_dials_from_before_there_were_more_of_them_are_the_same_dials(engine: Engine) -> None:
    few = {name: dials()[name] for name in ("parallel_threshold", "reasoning_threshold", "max_deep_share")}
    import_dials(engine, few, 1)
    assert import_dials(engine, dials(), 2) is None
    assert in_force(engine).pacing == "dry_run"


def before_explore() -> dict[str, Any]:
    return {name: value for name, value in stored().items() if name != "explore"}


def test_a_version_from_before_a_dial_reads_as_it_was_meant() -> None:
    assert policy_of(3, before_explore(), LATER).explore == 0.0
    assert policy_of(3, stored(), LATER).explore == 0.01


def test_what_was_built_in_when_a_version_was_stored_had_not_what_came_later() -> None:
    assert default_policy_beside(before_explore(), LATER) == policy_of(0, before_explore(), LATER)
    assert default_policy_beside(stored(explore=0.5), LATER).explore == 0.01


def test_a_new_database_gets_the_default_of_a_dial_that_the_file_leaves_unset(engine: Engine) -> None:
    import_dials(engine, {**dials(), "explore": None}, 1, LATER)
    assert in_force(engine).explore == 0.01
    assert policy_of_file({**dials(), "explore": None}, dials=LATER).explore == 0.01


def test_a_new_dial_that_the_file_does_not_name_changes_nothing_of_an_old_database(engine: Engine) -> None:
    import_dials(engine, before_explore(), 1, LATER)
    assert import_dials(engine, {**dials(), "explore": None}, 2, LATER) is None
    assert import_dials(engine, dials(), 3, LATER) == 2  # the file names it
    assert in_force(engine).explore == 0.01


def test_a_new_dial_that_the_file_does_not_name_stays_as_it_is_in_force(engine: Engine) -> None:
    import_dials(engine, before_explore(), 1, LATER)
    activate_by_hand(engine, explore=0.5)
    import_dials(engine, {**dials(max_deep_share=0.2), "explore": None}, 2, LATER)
    assert (in_force(engine).max_deep_share, in_force(engine).explore) == (0.2, 0.5)


def test_dials_of_another_release_are_named() -> None:
    with pytest.raises(ValueError, match="policy version 7 has dials of another release: warp"):
        policy_of(7, {"warp": 9})


def test_a_segments_dials_come_from_the_file(engine: Engine) -> None:
    import_dials(engine, PolicySettings(segments={"free": {"max_deep_share": 0.02}}).model_dump(), 1)  # type: ignore[dict-item]
    assert in_force(engine).for_segment("free").max_deep_share == 0.02
    assert in_force(engine).for_segment("plus").max_deep_share == 0.1


def test_a_restart_does_not_undo_what_an_operator_activated(engine: Engine) -> None:
    import_dials(engine, dials(), 1)
    activate_by_hand(engine, explore=0.5)
    import_dials(engine, dials(), 2)
    assert in_force(engine).explore == 0.5


def test_a_changed_file_is_activated_and_names_what_it_follows(engine: Engine) -> None:
    import_dials(engine, dials(), 1)
    activate_by_hand(engine, explore=0.5)
    import_dials(engine, dials(max_deep_share=0.2), 2)
    assert versions(engine) == [(1, "config", "retired"), (2, "ada", "retired"), (3, "config", "active")]
    with engine.connect() as connection:
        assert connection.scalar(select(PolicyVersion.parent).where(PolicyVersion.version == 3)) == 2


def test_exactly_one_version_is_active(engine: Engine) -> None:
    for place in range(4):
        import_dials(engine, dials(explore=place / 10), place)
    assert [state for _, _, state in versions(engine)].count("active") == 1


def test_wrong_dials_are_not_imported(engine: Engine) -> None:
    with pytest.raises(ValueError, match="max_deep_share"):
        import_dials(engine, {"max_deep_share": 7}, 1)
    assert versions(engine) == []


def test_a_running_server_follows_the_database(engine: Engine) -> None:
    book = PolicyBook(engine)
    import_dials(engine, dials(explore=0.3), 1)
    assert book.active.explore == 0.01
    book.refresh()
    assert book.active.explore == 0.3
