"""The watch on a canary: what hurts is rolled back by itself, whoever looks first, whatever happened in between."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import SQLAlchemyError

from router.canary import monitor
from router.canary.arms import Stratum
from router.canary.monitor import EVERY_US, CanaryMonitor, verdict_of
from router.canary.reader import LATE_US, SWEEP_EVERY_US, ArmsReader
from router.canary.verdicts import HarmLimits
from router.clock import request_id
from router.database.engine import writing
from router.database.tables import Feedback
from router.ledger.entries import Closing, Entry
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.policies import canary_lifecycle, lifecycle
from router.policies.canary_lifecycle import Canary, CanaryState, Mode
from router.policies.lifecycle import Actor
from router.policies.versions import PolicyAction, PolicyBook, import_dials
from router.settings import FastSettings, ParallelSettings, PolicySettings, ReasoningSettings, TierSettings
from router.types import Outcome, Signal, Tier
from tests.ledger.builders import NOON, FakeClock, a_closing, a_result, an_intent, an_opening

WIRING = TierSettings(
    fast=FastSettings(model="openai/small"),
    reasoning=ReasoningSettings(model="openai/large"),
    parallel=ParallelSettings(models=("openai/small",)),
)


class Place:
    """Books with a canary over them, and a worker that ships and watches."""

    def __init__(self, engine: Engine, directory: Path, on_success: str = "wait") -> None:
        self.engine = engine
        self.clock = FakeClock()
        import_dials(engine, PolicySettings().model_dump(), NOON)
        actor = Actor("ada", "margin fell", NOON)
        version = lifecycle.propose(engine, {"reasoning_threshold": 0.4}, WIRING, actor)
        self.canary: Canary = canary_lifecycle.start(engine, version, 0.2, WIRING, actor, on_success=on_success)
        self.spool = Spool.open(directory / "spool")
        self.shipper = Shipper(self.spool, engine, clock=self.clock)
        self.watch = self.another_watch()
        self.shown = 0

    def another_watch(self, limits: HarmLimits | None = None) -> CanaryMonitor:
        return CanaryMonitor(self.engine, PolicyBook(self.engine), self.clock.now_us, limits=limits)

    def answer(self, *, is_canary: bool, cost: int = 700_000, begun_s: float = 0.0, **changes: Any) -> str:
        """One request, which began so long ago; `changes` are the opening's, or the closing's."""
        begun = self.clock.now_us() - int(begun_s * 1e6)
        id_ = request_id(begun)
        of_closing = {name: changes.pop(name) for name in ("outcome", "first_byte_ms") if name in changes}
        version = self.canary.version if is_canary else self.canary.control
        entries: list[Entry] = [
            an_opening(id_, opened_at=begun, policy_version=version, **changes),
            an_intent(id_, started_at=begun),
            a_result(id_, cost_nanousd=cost),
            msgspec.structs.replace(a_closing(id_), closed_at=begun, **of_closing),
        ]
        assert isinstance(entries[-1], Closing)
        self.spool.write(entries)
        self.clock.advance(0.01)
        return id_

    def answers(self, canary: int, control: int, **harm: Any) -> list[str]:
        """Requests of both arms in turn; the harm befalls the canary's. Returns the canary's ids."""
        made = []
        for number in range(canary + control):
            if number * canary // (canary + control) < (number + 1) * canary // (canary + control):
                made.append(self.answer(is_canary=True, **harm))
            else:
                self.answer(is_canary=False)
        return made

    def look(self, watch: CanaryMonitor | None = None) -> None:
        """Ship what is settled, and look when it is time to."""
        self.shipper.turn()
        self.clock.advance(EVERY_US / 1e6)
        (watch or self.watch).follow()

    def state(self) -> CanaryState:
        return canary_lifecycle.history(self.engine)[0].state

    @property
    def acts(self) -> list[PolicyAction]:
        return [entry.act for entry in lifecycle.history(self.engine)]


@pytest.fixture
def place(engine: Engine, tmp_path: Path) -> Iterator[Place]:
    made = Place(engine, tmp_path)
    yield made
    made.spool.close()


def test_a_canary_that_costs_more_is_rolled_back_with_the_reason(place: Place) -> None:
    place.answers(60, 240, cost=1_400_000)
    place.look()
    assert place.state() is CanaryState.ROLLED_BACK
    entry = lifecycle.history(place.engine)[0]
    assert (entry.act, entry.version, entry.author) == (
        PolicyAction.CANARY_ROLLED_BACK,
        place.canary.version,
        "tierwise",
    )
    assert entry.note.startswith("margin 0.0")
    assert "after 60 requests beside 240" in entry.note
    assert PolicyBook(place.engine).canary is None


def test_one_that_changes_nothing_goes_on(place: Place) -> None:
    place.answers(60, 240)
    place.look()
    assert place.state() is CanaryState.RUNNING
    assert place.watch.verdict is not None
    assert place.watch.verdict.canary_requests == 60


@pytest.mark.parametrize(
    "harm",
    [
        {"outcome": Outcome.ERROR},
        {"first_byte_ms": 20_000},
        {"signal": Signal.REGENERATE},
        {"first_tier": Tier.REASONING},
    ],
)
def test_each_harm_is_found_in_the_books(place: Place, harm: dict[str, Any]) -> None:
    place.answers(60, 240, **harm)
    place.look()
    assert place.state() is CanaryState.ROLLED_BACK


def test_a_regenerate_of_an_answer_from_before_the_canary_is_not_its_fault(place: Place) -> None:
    place.answers(60, 240, signal=Signal.REGENERATE, previous_id=request_id(NOON - 60_000_000))
    place.look()
    assert place.state() is CanaryState.RUNNING


def test_who_comes_second_finds_it_done(place: Place) -> None:
    slower = place.another_watch()
    place.answers(60, 240, cost=1_400_000)
    place.look()
    slower.follow()
    assert place.acts.count(PolicyAction.CANARY_ROLLED_BACK) == 1


def test_thumbs_down_count_when_they_come_and_once_each(place: Place) -> None:
    asked = place.answers(60, 240)
    place.look()
    rated = [{"request_id": id_, "rating": -1, "created_at": place.clock.now_us()} for id_ in asked]
    with writing(place.engine) as connection:
        connection.execute(insert(Feedback), [rated[0]] * 30)
    place.look()
    assert place.state() is CanaryState.RUNNING
    with writing(place.engine) as connection:
        connection.execute(insert(Feedback), rated)
    place.look()
    assert place.state() is CanaryState.ROLLED_BACK
    assert "thumbs down" in str(place.watch.verdict)


def test_an_outage_in_between_loses_nothing(place: Place) -> None:
    place.answers(30, 120, cost=1_400_000)
    with writing(place.engine) as connection:
        connection.execute(text("ALTER TABLE canaries RENAME TO elsewhere"))
        connection.execute(text("ALTER TABLE calls RENAME TO gone"))
    place.clock.advance(EVERY_US / 1e6)
    with pytest.raises(SQLAlchemyError):
        place.watch.follow()
    place.answers(30, 120, cost=1_400_000)
    with writing(place.engine) as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO canaries"))
        connection.execute(text("ALTER TABLE gone RENAME TO calls"))
    place.look()
    assert place.state() is CanaryState.ROLLED_BACK
    assert "after 60 requests beside 240" in str(place.watch.verdict)


def test_a_worker_that_starts_in_the_middle_comes_to_the_same_verdict(place: Place) -> None:
    for _ in range(3):
        place.answers(20, 80)
        place.look()
    restarted = place.another_watch()
    restarted.follow()
    assert restarted.verdict == place.watch.verdict


def test_a_request_that_took_long_is_read_when_it_arrives(place: Place) -> None:
    place.answers(20, 80)
    place.look()
    place.clock.advance(2 * LATE_US / 1e6)
    place.look()
    place.answer(is_canary=True, begun_s=60)
    place.look()
    assert place.watch.verdict is not None
    assert place.watch.verdict.canary_requests == 21


def test_one_that_took_an_hour_is_read_by_the_next_sweep(place: Place) -> None:
    place.clock.advance(4_000)
    place.look()
    place.answer(is_canary=True, begun_s=3_600)
    for _ in range(3):
        place.look()
        place.clock.advance(SWEEP_EVERY_US / 1e6)
    assert place.watch.verdict is not None
    assert place.watch.verdict.canary_requests == 1


def test_requests_are_compared_where_the_policies_differ(place: Place) -> None:
    place.answer(is_canary=True, shadow_version=place.canary.control, shadow_tier=Tier.REASONING)
    place.answer(is_canary=False, shadow_version=place.canary.version, shadow_tier=Tier.FAST)
    place.answer(is_canary=False)
    place.shipper.turn()
    book = PolicyBook(place.engine)
    assert book.trial is not None
    reading = ArmsReader(place.engine, place.canary, (book.trial, book.active), place.clock.now_us())
    reading.read(place.clock.now_us())
    known = {stratum[1:] for stratum, _, _ in reading.arms.strata()}
    assert known == {("reasoning", "fast", True), ("fast", "fast", False), Stratum("?")[1:]}


def test_a_canary_that_passes_waits_for_a_person_or_is_activated(place: Place) -> None:
    place.answers(20, 80)
    few = HarmLimits(most_requests=20)
    place.look(place.another_watch(few))
    assert place.state() is CanaryState.WAITING
    assert place.acts[0] is PolicyAction.CANARY_PASSED
    place.look(place.another_watch(few))
    assert place.acts.count(PolicyAction.CANARY_PASSED) == 1


def test_what_waits_is_still_watched(place: Place) -> None:
    place.answers(20, 80)
    place.look(place.another_watch(HarmLimits(most_requests=20)))
    place.answers(60, 240, cost=3_000_000)
    place.look(place.another_watch())
    assert place.state() is CanaryState.ROLLED_BACK


def test_a_verdict_can_be_asked_for_without_acting(place: Place) -> None:
    place.answers(60, 240, cost=1_400_000)
    place.shipper.turn()
    book = PolicyBook(place.engine)
    assert book.trial is not None
    verdict = verdict_of(place.engine, place.canary, book.trial, book.active, place.clock.now_us())
    assert verdict.breached is not None
    assert place.state() is CanaryState.RUNNING


def test_a_shadow_is_not_judged(place: Place) -> None:
    actor = Actor("ada", "", NOON)
    canary_lifecycle.stop(place.engine, actor)
    canary_lifecycle.start(place.engine, place.canary.version, 1.0, WIRING, actor, mode=Mode.SHADOW)
    watch = place.another_watch()
    watch.follow()
    assert watch.verdict is None


def test_the_shipping_thread_looks_by_itself(place: Place) -> None:
    place.shipper.follow(place.watch.follow, "canary")
    place.answers(60, 240, cost=1_400_000)
    for _ in range(3):
        place.shipper.turn()
        place.clock.advance(EVERY_US / 1e6)
    assert place.state() is CanaryState.ROLLED_BACK
    assert monitor.cap_of(PolicyBook(place.engine).active) == 0.1


def test_a_worker_tells_what_it_said_last_of_the_canary_it_watches(place: Place) -> None:
    assert place.watch.verdict_on(place.canary.id) is None
    place.answers(20, 80)
    place.look()
    assert place.watch.verdict_on(place.canary.id) == place.watch.verdict
    assert place.watch.verdict_on(place.canary.id + 1) is None
