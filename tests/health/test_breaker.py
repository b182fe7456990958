"""When a breaker opens, what it lets through, and what closes it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import Cause
from router.health.breaker import (
    LASTING,
    LONGEST_COOLING_MS,
    PROBE_MS,
    RESORT_MS,
    STREAK,
    WINDOW_FAILURES,
    Admission,
    Breaker,
    BreakerState,
)
from router.health.records import HealthFile
from router.health.targets import HealthBook
from tests.ledger.builders import FakeClock

KEY = b"0123456789abcdef"
ABOUT_ONE_REQUEST = (Cause.BAD_REQUEST, Cause.CONTENT_FILTER, Cause.CONTEXT_TOO_LONG)


def a_breaker(clock: FakeClock, file: HealthFile | None = None) -> Breaker:
    return Breaker((file or HealthFile()).find(KEY, clock.now_us()), clock)


def opened(clock: FakeClock, cause: Cause = Cause.TIMEOUT_FIRST_BYTE) -> Breaker:
    breaker = a_breaker(clock)
    for _ in range(STREAK):
        breaker.fail(cause)
    return breaker


def test_a_new_one_lets_calls_through() -> None:
    assert a_breaker(FakeClock()).admit(1.0) is Admission.GRANTED


def test_failures_in_a_row_open_it_and_the_last_one_says_so() -> None:
    breaker = a_breaker(FakeClock())
    assert [breaker.fail(Cause.UNREACHABLE) for _ in range(STREAK)] == [False] * (STREAK - 1) + [True]
    assert breaker.admit(1.0) is Admission.REFUSED
    assert breaker.read().cause is Cause.UNREACHABLE


def test_time_outs_that_come_one_by_one_open_it_too() -> None:
    clock = FakeClock()
    breaker = a_breaker(clock)
    for _ in range(STREAK):
        clock.advance(120)
        breaker.fail(Cause.TIMEOUT_FIRST_BYTE)
    assert breaker.read().state is BreakerState.OPEN


def test_failures_an_hour_apart_do_not() -> None:
    clock = FakeClock()
    breaker = a_breaker(clock)
    for _ in range(3 * STREAK):
        clock.advance(3_600)
        breaker.fail(Cause.TIMEOUT_FIRST_BYTE)
    assert breaker.read().state is BreakerState.CLOSED


def test_half_of_the_calls_of_a_window_open_it() -> None:
    breaker = a_breaker(FakeClock())
    for _ in range(WINDOW_FAILURES - 1):
        breaker.fail(Cause.OVERLOADED)
        breaker.succeed()
    assert breaker.fail(Cause.OVERLOADED)


def test_one_failure_in_ten_does_not() -> None:
    clock = FakeClock()
    breaker = a_breaker(clock)
    for number in range(3_000):
        clock.advance(0.01)
        breaker.fail(Cause.BROKEN_OFF) if number % 10 == 0 else breaker.succeed()
    assert breaker.read().state is BreakerState.CLOSED


@pytest.mark.parametrize("cause", ABOUT_ONE_REQUEST)
def test_what_is_wrong_with_a_request_never_opens_it(cause: Cause) -> None:
    breaker = a_breaker(FakeClock())
    for _ in range(100):
        breaker.fail(cause)
    assert breaker.admit(1.0) is Admission.GRANTED


@pytest.mark.parametrize("cause", sorted(LASTING))
def test_what_somebody_must_mend_opens_it_at_once_and_for_longer(cause: Cause) -> None:
    clock = FakeClock()
    breaker = a_breaker(clock)
    assert breaker.fail(cause)
    clock.advance(PROBE_MS / 1_000)
    assert breaker.admit(1.0) is Admission.REFUSED
    clock.advance(300)
    assert breaker.admit(1.0) is Admission.TRIAL


def test_a_refusal_between_answers_may_be_about_one_request() -> None:
    clock = FakeClock()
    breaker = a_breaker(clock)
    breaker.succeed()
    clock.advance(1)
    assert not breaker.fail(Cause.NOT_FOUND)
    assert breaker.admit(1.0) is Admission.GRANTED


def test_it_cools_down_for_as_long_as_the_provider_says() -> None:
    clock = FakeClock()
    breaker = a_breaker(clock)
    assert not breaker.fail(Cause.RATE_LIMITED, 7)
    assert breaker.read().state is BreakerState.COOLING
    assert breaker.wait_seconds() == 7
    clock.advance(6.9)
    assert breaker.admit(1.0, is_last_resort=True) is Admission.REFUSED
    clock.advance(0.2)
    assert [breaker.admit(1.0) for _ in range(2)] == [Admission.GRANTED] * 2


def test_a_second_is_not_worth_turning_anybody_away() -> None:
    breaker = a_breaker(FakeClock())
    breaker.fail(Cause.RATE_LIMITED, 1)
    assert breaker.admit(1.0) is Admission.GRANTED


def test_no_provider_is_left_alone_for_a_day() -> None:
    clock = FakeClock()
    breaker = a_breaker(clock)
    breaker.fail(Cause.RATE_LIMITED, 86_400)
    clock.advance(LONGEST_COOLING_MS / 1_000)
    assert breaker.admit(1.0) is Admission.GRANTED


def test_one_call_at_a_time_tries_an_open_one() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(PROBE_MS / 1_000)
    assert [breaker.admit(60.0) for _ in range(3)] == [Admission.TRIAL, Admission.REFUSED, Admission.REFUSED]
    assert breaker.read().state is BreakerState.HALF_OPEN


def test_it_is_tried_sooner_where_nobody_else_serves() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    assert breaker.is_shut(is_last_resort=True)
    clock.advance(RESORT_MS / 1_000)
    assert breaker.admit(1.0) is Admission.REFUSED
    assert (breaker.is_shut(), breaker.is_shut(is_last_resort=True)) == (True, False)
    assert breaker.admit(1.0, is_last_resort=True) is Admission.TRIAL


def test_a_trial_that_goes_well_closes_it() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(PROBE_MS / 1_000)
    breaker.admit(1.0)
    breaker.succeed(is_trial=True)
    assert breaker.read().state is BreakerState.CLOSED
    assert breaker.fail(Cause.UNREACHABLE) is False


def test_a_trial_that_fails_doubles_the_wait() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(PROBE_MS / 1_000)
    breaker.admit(1.0)
    assert not breaker.fail(Cause.TIMEOUT_FIRST_BYTE, is_trial=True)
    clock.advance(PROBE_MS / 1_000)
    assert breaker.admit(1.0) is Admission.REFUSED
    clock.advance(PROBE_MS / 1_000)
    assert breaker.admit(1.0) is Admission.TRIAL


def test_a_trial_whose_request_was_wrong_shows_that_the_model_is_there() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(PROBE_MS / 1_000)
    breaker.admit(1.0)
    breaker.fail(Cause.BAD_REQUEST, is_trial=True)
    assert breaker.read().state is BreakerState.CLOSED


def test_a_trial_given_back_is_the_next_ones() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(PROBE_MS / 1_000)
    breaker.admit(60.0)
    breaker.release()
    assert breaker.admit(60.0) is Admission.TRIAL


def test_a_trial_of_a_worker_that_died_is_the_next_ones_in_the_end() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(PROBE_MS / 1_000)
    breaker.admit(60.0)
    clock.advance(61)
    assert breaker.admit(60.0) is Admission.TRIAL


def test_what_was_sent_before_it_opened_changes_nothing() -> None:
    breaker = opened(FakeClock())
    before = breaker.read()
    breaker.succeed()
    breaker.fail(Cause.CREDENTIALS)
    assert breaker.read() == before


def test_workers_share_it(tmp_path: Path) -> None:
    clock = FakeClock()
    one, other = (a_breaker(clock, HealthFile(tmp_path / "health.map")) for _ in range(2))
    for _ in range(STREAK):
        one.fail(Cause.UNREACHABLE)
    assert other.admit(1.0) is Admission.REFUSED
    clock.advance(PROBE_MS / 1_000)
    assert [other.admit(9.0), one.admit(9.0)] == [Admission.TRIAL, Admission.REFUSED]
    other.succeed(is_trial=True)
    assert one.admit(1.0) is Admission.GRANTED


def test_times_of_before_the_machine_was_started_anew_are_forgotten() -> None:
    clock, file = FakeClock(), HealthFile()
    for _ in range(STREAK):
        a_breaker(clock, file).fail(Cause.UNREACHABLE)
    assert a_breaker(FakeClock(now_us=60_000_000), file).admit(1.0) is Admission.GRANTED


def test_a_file_that_cannot_be_had_leaves_every_worker_its_own(tmp_path: Path) -> None:
    (tmp_path / "health.map").mkdir()
    breaker = a_breaker(FakeClock(), HealthFile(tmp_path / "health.map"))
    assert breaker.admit(1.0) is Admission.GRANTED


def test_a_file_of_something_else_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "health.map").write_bytes(b"something else")
    assert a_breaker(FakeClock(), HealthFile(tmp_path / "health.map")).admit(1.0) is Admission.GRANTED


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    HealthFile(tmp_path / "health.map")
    assert (tmp_path / "health.map").stat().st_mode & 0o777 == 0o600


def test_another_key_is_another_target() -> None:
    book = HealthBook(FakeClock())
    one, same, other = (book.target("openai/m", None, key) for key in ("a", "a", "b"))
    assert one is same
    one.fail(Cause.CREDENTIALS, None, is_trial=False)
    assert [reading.is_closed for reading in book.read()].count(False) == 1
    assert other.breaker.admit(1.0) is Admission.GRANTED


def test_whoever_opens_it_says_so_once() -> None:
    told: list[tuple[str, Cause]] = []
    book = HealthBook(FakeClock(), tell_opened=lambda model, cause: told.append((model, cause)))
    target = book.target("openai/m", None, None)
    for _ in range(3 * STREAK):
        target.fail(Cause.UNREACHABLE, None, is_trial=False)
    assert told == [("openai/m", Cause.UNREACHABLE)]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0.0, 400.0)),
        st.tuples(st.just("ask"), st.booleans()),
        st.tuples(st.just("answered"), st.none()),
        st.tuples(st.just("failed"), st.sampled_from(sorted(Cause))),
    ),
    max_size=80,
)


@given(steps)
def test_no_second_call_goes_to_an_open_one_while_a_trial_is_under_way(taken: list[tuple[str, object]]) -> None:
    clock = FakeClock()
    breaker, trial_until = a_breaker(clock), 0.0
    for step, value in taken:
        is_trying = clock.ticks_ms() < trial_until
        match step:
            case "wait":
                assert isinstance(value, float)
                clock.advance(value)
            case "ask":
                was = breaker.read().state
                admitted = breaker.admit(30.0, is_last_resort=bool(value))
                if is_trying:
                    assert admitted is Admission.REFUSED
                if was is BreakerState.CLOSED:
                    assert admitted is Admission.GRANTED
                if admitted is Admission.TRIAL:
                    trial_until = clock.ticks_ms() + 30_000
            case "answered":
                breaker.succeed(is_trial=is_trying)
                trial_until = 0.0 if is_trying else trial_until
                assert not is_trying or breaker.read().state is BreakerState.CLOSED
            case _:
                assert isinstance(value, Cause)
                before = breaker.read().state
                breaker.fail(value, is_trial=is_trying)
                if value in ABOUT_ONE_REQUEST:
                    assert breaker.read().state in (before, BreakerState.CLOSED)
                elif is_trying:
                    assert breaker.read().state is BreakerState.OPEN
                trial_until = 0.0 if is_trying else trial_until
