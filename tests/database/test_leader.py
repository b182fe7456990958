"""One worker of all leads, and another one does soon after it is gone."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from router.database.engine import open_engine
from router.database.leader import ASKED_WITHIN_S, LEADER_LOCK, TRY_EVERY_S, Leadership
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
LEADS_UNTIL_KILLED = """
import sys, time
from router.database.engine import open_engine
from router.database.leader import Leadership
leadership = Leadership(open_engine(sys.argv[1]))
leadership.leads("all")
leadership.refresh()
print(leadership.is_leader, flush=True)
time.sleep(600)
"""


class Seconds:
    """A clock that is set."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Worker:
    """A worker with a task, and an engine of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = open_engine(engine.url.render_as_string(hide_password=False))
        self.clock = Seconds()
        self.leadership = Leadership(self.engine, self.clock)

    def turn(self, *tasks: str) -> bool:
        """Ask for some tasks, as threads do, and look a while later who leads."""
        for task in tasks or ("all",):
            self.leadership.leads(task)
        self.clock.now_s += TRY_EVERY_S
        self.leadership.refresh()
        return self.leadership.is_leader


@pytest.fixture
def workers(engine: Engine) -> Iterator[tuple[Worker, Worker]]:
    made = Worker(engine), Worker(engine)
    yield made
    for worker in made:
        worker.leadership.resign()
        worker.engine.dispose()


def test_of_two_workers_one_leads_until_it_resigns(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    assert [one.turn(), other.turn(), one.turn(), other.turn()] == [True, False, True, False]
    one.leadership.resign()
    assert (other.turn(), one.turn()) == (True, False)


def test_who_never_asks_does_not_lead(workers: tuple[Worker, Worker]) -> None:
    one, _ = workers
    one.leadership.refresh()
    assert not one.leadership.is_leader


def test_a_worker_of_which_one_task_hangs_gives_the_lead_up(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    assert one.turn("shipping", "alerts")
    while one.clock.now_s <= ASKED_WITHIN_S + TRY_EVERY_S:
        one.turn("alerts")
    assert (one.leadership.is_leader, other.turn()) == (False, True)


def test_a_leader_whose_session_was_ended_knows_it(postgresql_engine: Engine) -> None:
    one, other = Worker(postgresql_engine), Worker(postgresql_engine)
    assert one.turn()
    with postgresql_engine.connect() as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :lock"
        connection.execute(text(query), {"lock": LEADER_LOCK})
    eventually(other.turn)
    with pytest.raises(Exception, match="terminat"):
        one.turn()
    assert not one.leadership.is_leader
    assert not one.turn()
    for worker in (one, other):
        worker.leadership.resign()
        worker.engine.dispose()


def test_a_killed_leader_is_followed(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", LEADS_UNTIL_KILLED, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as leader:
        assert leader.stdout is not None
        assert leader.stdout.readline() == "True\n"
        heir = Worker(engine)
        assert not heir.turn()
        leader.kill()
        eventually(heir.turn)
    heir.leadership.resign()
    heir.engine.dispose()
