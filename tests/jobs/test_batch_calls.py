"""How long a batch is waited for, and what its calls come to. Nothing here is bought."""

import msgspec
import pytest

from router.errors import Cause
from router.jobs.batch_calls import BatchCall, answers_of, savings_of, settle_calls, times_of
from router.jobs.steps import JobAction, JobStage
from router.ledger.entries import CallIntent
from router.ledger.prices import BATCH, Price, Rates
from router.providers.base import Choice, Completion, Metered
from router.providers.batches import Batch, BatchLine
from router.types import CallKind, CallStatus, Precision, Tier, Usage
from tests.jobs.rehearsal import a_recipe, some_bounds

USAGE = Usage(input_fresh=10, output_visible=5)
PRICE = Price(7, "model/a", 0, None, "test", (Rates(1_000, 2_000), Rates(500, 1_000, service=BATCH)))
HOLD = 1_000
WAVE = [JobAction(f"s{i}", JobStage.SAMPLE, "model/a", i) for i in range(8)]


def some_calls(count: int = 3) -> list[BatchCall]:
    return [
        BatchCall(f"s{i}", CallIntent("a" * 32, i, CallKind.SAMPLE, Tier.PARALLEL, "model/a", 7, HOLD, 0))
        for i in range(count)
    ]


def answered(call: BatchCall) -> BatchLine:
    return BatchLine(call.custom_id, Completion([Choice(content="12")], Metered(USAGE, Precision.EXACT), "model/a"))


def settled(batch: Batch | None, *lines: BatchLine) -> list[tuple[CallStatus, int | None]]:
    calls = settle_calls(some_calls(), batch, lines, {7: PRICE}, {}, 60.0)
    return [(call.result.status, call.result.cost_nanousd) for call in calls if call.result is not None]


def a_batch(status: str, completed: int) -> Batch:
    return Batch("b", status, total=3, completed=completed)


def test_an_answer_is_booked_at_the_rates_of_batches() -> None:
    calls = some_calls()
    lines = [answered(call) for call in reversed(calls)]
    done = settle_calls(calls, a_batch("completed", 3), lines, {7: PRICE}, {}, 60.0)
    assert {(c.result.cost_nanousd, c.result.service) for c in done if c.result} == {(10, BATCH)}
    assert savings_of(done) == 3 * (HOLD - 10)
    assert answers_of(done, lines)["s2"].choice.content == "12"


def test_what_failed_expired_or_was_called_off_costs_nothing() -> None:
    one, two, three = some_calls()
    lines = (
        BatchLine(one.custom_id, cause=Cause.UNKNOWN, http_status=500),
        BatchLine(two.custom_id, cause=Cause.TIMEOUT_TOTAL),
        BatchLine(three.custom_id, is_cancelled=True),
    )
    ends = settled(a_batch("expired", 0), *lines)
    assert ends == [(CallStatus.ERROR, 0), (CallStatus.ERROR, 0), (CallStatus.CANCELLED, 0)]


def test_a_missing_line_is_free_where_the_counts_say_that_it_was_not_answered_and_unknown_else() -> None:
    one, two, _ = some_calls()
    lines = answered(one), answered(two)
    assert settled(a_batch("completed", 2), *lines)[2] == (CallStatus.CANCELLED, 0)
    assert settled(a_batch("completed", 3), *lines)[2] == (CallStatus.UNKNOWN, HOLD)
    assert settled(Batch("b", "completed"), *lines)[2] == (CallStatus.UNKNOWN, HOLD)


def test_an_answer_that_cannot_be_read_costs_its_bound() -> None:
    one = some_calls()[0]
    line = BatchLine(one.custom_id, cause=Cause.NONSENSE, http_status=200, is_billed=True)
    assert settled(a_batch("completed", 1), line) == [(CallStatus.ERROR, HOLD)] + [(CallStatus.CANCELLED, 0)] * 2


def test_a_batch_that_was_never_begun_or_was_refused_costs_nothing() -> None:
    assert settled(None) == [(CallStatus.NOT_SENT, 0)] * 3
    assert settled(a_batch("failed", 0)) == [(CallStatus.CANCELLED, 0)] * 3


def test_what_the_provider_hears_of_a_call_says_nothing_of_who_asked() -> None:
    assert [call.custom_id for call in some_calls(2)] == [f"{'a' * 32}-0", f"{'a' * 32}-1"]


def test_a_batch_is_waited_for_until_usual_calls_and_what_follows_need_the_time() -> None:
    recipe = a_recipe()
    times = times_of(recipe, some_bounds(limit_s=7_200.0), WAVE, 0.0)
    assert times is not None
    assert times.until_s == 7_200.0 - (10.0 + 3 * 10.0 + 660.0)  # samples, three stages, a batch that is called off
    assert times.grace_s == pytest.approx(350.0)


def test_short_jobs_keep_half_of_their_time_and_late_waves_get_no_batch() -> None:
    recipe, bounds = a_recipe(), some_bounds(limit_s=100.0)
    times = times_of(recipe, bounds, WAVE, 0.0)
    assert times is not None
    assert times.until_s == 50.0
    assert times_of(recipe, bounds, WAVE, 46.0) is None


def test_a_batch_is_stored_and_read_again() -> None:
    call = settle_calls(some_calls(1), None, (), {7: PRICE}, {}, 1.0)[0]
    assert msgspec.json.decode(msgspec.json.encode(call), type=BatchCall) == call
