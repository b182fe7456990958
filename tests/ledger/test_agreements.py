"""How votes ended goes the way of the books; every worker reads the same evidence from there."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, select

from router.database.coverage_tables import CoverageDay, StoredVote
from router.ledger import retention
from router.ledger.agreements import EvidenceFollower, VoteEvidence, read_evidence
from router.ledger.coverage import CoverageBudget
from router.ledger.entries import VoteEnding
from router.ledger.feedback import FeedbackBook, Opinion
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.tiers.parallel.calibration import CalibrationTable
from router.types import DAY_US
from tests.ledger.builders import NOON, FakeClock, a_closing, a_result, an_id, an_intent, an_opening
from tests.tiers.parallel.endings import an_ending, an_escalation
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]


def write_vote(spool: Spool, ended: VoteEnding) -> str:
    spool.write([an_opening(ended.request_id), an_intent(ended.request_id)])
    spool.write([a_result(ended.request_id), ended, a_closing(ended.request_id)])
    return ended.request_id


def grade(engine: Engine, request_id: str, rating: int) -> None:
    FeedbackBook(engine).record(Opinion(request_id, None, rating, None, None, NOON))


def test_a_vote_comes_back_as_it_ended_with_its_label(engine: Engine, spool: Spool, clock: FakeClock) -> None:
    kept = an_ending(3, 1, request_id=an_id(), judge="j/x", judge_accepts=False, p_sampled=0.25)
    asked = an_escalation(request_id=an_id(), agrees=True, confidence=0.5, p_strong=0.75)
    for ended in (kept, asked):
        write_vote(spool, ended)
    Shipper(spool, engine, clock=clock).turn()
    grade(engine, kept.request_id, 1)
    grade(engine, asked.request_id, -1)
    found = read_evidence(engine)
    assert [(c.models, c.answer_type, c.queries, c.samples, c.kept) for c in found.counts] == [
        ("a+b", "numeric", 2, 8, 1)
    ]
    assert [(vote.ending.request_id, vote.correct) for vote in found.graded] == [
        (kept.request_id, 1.0),
        (asked.request_id, 0.0),
    ]
    for ended, vote in zip((kept, asked), found.graded, strict=True):
        assert vote.ending.confidence == pytest.approx(ended.confidence)
        assert vote.ending.agrees is ended.agrees
        assert (vote.ending.leader, vote.ending.judge, vote.ending.judge_accepts) == (
            ended.leader, ended.judge, ended.judge_accepts,
        )  # fmt: skip


def test_the_last_label_of_an_answer_counts_and_indifference_does_not(
    engine: Engine, spool: Spool, clock: FakeClock
) -> None:
    request_id = write_vote(spool, an_ending(request_id=an_id()))
    Shipper(spool, engine, clock=clock).turn()
    for rating in (1, -1, 0):
        grade(engine, request_id, rating)
    assert [vote.correct for vote in read_evidence(engine).graded] == [0.0]


def test_a_vote_that_comes_twice_is_booked_once(engine: Engine, spool: Spool, clock: FakeClock) -> None:
    ended = an_ending(request_id=an_id())
    write_vote(spool, ended)
    write_vote(spool, ended)
    Shipper(spool, engine, clock=clock).turn()
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(StoredVote)) == 1


def test_what_was_not_sampled_tells_nothing_of_what_samples_cost(
    engine: Engine, spool: Spool, clock: FakeClock
) -> None:
    write_vote(spool, an_escalation(leader=0, second=0, request_id=an_id(), stop_reason="not_worth_sampling"))
    Shipper(spool, engine, clock=clock).turn()
    assert read_evidence(engine).counts == []


def test_evidence_is_read_when_something_came(engine: Engine, spool: Spool, clock: FakeClock) -> None:
    taken: list[VoteEvidence] = []
    follower, shipper = EvidenceFollower(engine, clock.now_us, taken.append), Shipper(spool, engine, clock=clock)
    follower.follow()
    request_id = write_vote(spool, an_ending(request_id=an_id()))
    shipper.turn()
    for rating in (None, None, 1):
        if rating:
            grade(engine, request_id, rating)
        clock.advance(3)
        follower.follow()
    assert [(len(e.counts), len(e.graded)) for e in taken] == [(0, 0), (1, 0), (1, 1)]


def test_votes_and_days_go_after_their_time(engine: Engine, spool: Spool, clock: FakeClock) -> None:
    old, new = an_id(NOON - 401 * DAY_US), an_id()
    for request_id in (old, new):
        write_vote(spool, an_ending(request_id=request_id))
    Shipper(spool, engine, clock=clock).turn()
    with engine.begin() as connection:
        connection.execute(insert(CoverageDay), [{"day": NOON // DAY_US - 91, "taken_nanousd": 1}])
    retention.purge(engine, NOON, feature_days=90)
    with engine.connect() as connection:
        assert list(connection.scalars(select(StoredVote.request_id))) == [new]
        assert connection.scalar(select(func.count()).select_from(CoverageDay)) == 0


async def test_the_coverage_budget_is_one_for_all_workers(engine: Engine) -> None:
    first, second = (CoverageBudget(engine, 100, lambda: NOON) for _ in range(2))
    day = await first.take(60)
    assert day == NOON // DAY_US
    assert await second.take(60) is None
    await first.give_back(50, day)
    assert await second.take(60) == day


@pytest.mark.slow
def test_no_label_is_lost_where_workers_of_two_replicas_are_killed(engine: Engine, tmp_path: Path) -> None:
    url = engine.url.render_as_string(hide_password=False)
    killed_at = (11, 0, 7, 0, 15, 0, 3, 0)
    workers = []
    for number, when in enumerate(killed_at):
        spools = tmp_path / f"replica{number % 2}"
        command = [sys.executable, "-m", "tests.ledger.labelling", url, str(spools), "20", str(when)]
        workers.append(subprocess.Popen(command, cwd=ROOT))
    endings = [worker.wait(PATIENCE_S) for worker in workers]
    assert endings == [-signal.SIGKILL if when else 0 for when in killed_at]
    graded = read_evidence(engine).graded
    assert len(graded) == sum(when - 1 if when else 20 for when in killed_at)
    assert CalibrationTable.from_evidence(read_evidence(engine)).labels("a+b|numeric") == len(graded)
