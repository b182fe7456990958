"""When a session ends, for all workers."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Engine

from router.admin.auth.secrets import AdminRole, AdminSecret
from router.admin.auth.sessions import SECOND_US, SessionLimits, Sessions, UnknownToken

START_US = 1_700_000_000 * SECOND_US


@dataclass
class Watch:
    now_us: int = START_US

    def read(self) -> int:
        return self.now_us

    def pass_by(self, seconds: int) -> None:
        self.now_us += seconds * SECOND_US


@dataclass
class House:
    """A state directory and a database, as several workers share them."""

    engine: Engine
    directory: Path
    watch: Watch = field(default_factory=Watch)

    def worker(self) -> Sessions:
        doors = {role: AdminSecret(self.directory, {}, role) for role in AdminRole}
        return Sessions(self.engine, doors, SessionLimits(idle_s=600, longest_s=3_600), self.watch.read)


@pytest.fixture
def house(sqlite_engine: Engine, tmp_path: Path) -> House:
    AdminSecret(tmp_path, {}).reset()
    return House(sqlite_engine, tmp_path)


def test_a_session_opened_by_one_worker_is_known_to_another(engine: Engine, tmp_path: Path) -> None:
    house = House(engine, tmp_path)
    AdminSecret(tmp_path, {}).reset()
    token = house.worker().open(AdminRole.ADMIN, "Ann", "10.0.0.1")
    found = house.worker().find(token)
    assert found is not None
    assert (found.role, found.actor, found.address) == (AdminRole.ADMIN, "Ann", "10.0.0.1")


def test_an_idle_session_ends_and_a_used_one_goes_on(house: House) -> None:
    sessions = house.worker()
    used, idle = (sessions.open(AdminRole.ADMIN, name, "") for name in ("used", "idle"))
    for _ in range(3):
        house.watch.pass_by(300)
        assert sessions.find(used) is not None
    assert sessions.find(idle) is None


def test_every_session_ends_in_the_end(house: House) -> None:
    sessions = house.worker()
    token = sessions.open(AdminRole.ADMIN, "Ann", "")
    for _ in range(12):
        house.watch.pass_by(300)
        sessions.find(token)
    house.watch.pass_by(1)
    assert sessions.find(token) is None


def test_signing_out_counts_for_all_workers(house: House) -> None:
    token = house.worker().open(AdminRole.ADMIN, "Ann", "")
    found = house.worker().find(token)
    assert found is not None
    house.worker().end(found)
    assert house.worker().find(token) is None


def test_a_new_secret_ends_the_sessions_of_the_old_one_and_no_others(house: House) -> None:
    AdminSecret(house.directory, {}, AdminRole.VIEWER).reset()
    admin = house.worker().open(AdminRole.ADMIN, "Ann", "")
    viewer = house.worker().open(AdminRole.VIEWER, "Vic", "")
    AdminSecret(house.directory, {}).reset()
    assert house.worker().find(admin) is None
    assert house.worker().find(viewer) is not None


@pytest.mark.parametrize("token", ["", "short", "A" * 43, "\u00fc" * 43, "A" * 44])
def test_what_was_never_given_out_is_told_from_what_has_ended(house: House, token: str) -> None:
    with pytest.raises(UnknownToken):
        house.worker().find(token)


def test_a_mark_tells_nothing_without_the_token(tmp_path: Path) -> None:
    door = AdminSecret(tmp_path, {})
    door.reset()
    assert door.mark("one") != door.mark("two")
    assert AdminSecret(tmp_path, {}, AdminRole.VIEWER).mark("one") is None
