"""Batches as they are bought, found again, settled and looked after, from a provider as awkward as they are."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from aiohttp.test_utils import TestServer
from sqlalchemy import Engine, select, update

from router.database.job_tables import JobBatchRow, JobCallRow
from router.jobs.batch_calls import BatchTimes, KeptBatch
from router.jobs.batch_keeper import BatchKeeper
from router.jobs.batch_store import BatchStore
from router.jobs.batches import Batches, BatchOrder, Purchase
from router.jobs.job import Ending, JobStatus
from router.jobs.steps import JobAction, JobStage
from router.jobs.store import JobStore
from router.ledger.prices import BATCH, Price, PriceBook, Rates
from router.providers.base import ModelTarget, ProviderRequest
from router.providers.clients import Providers
from router.types import CallStatus, Tier
from tests.builders.jobs import REQUEST_ID, a_job
from tests.ledger.builders import NOON, FakeClock
from tests.providers.batch_house import INPUT_TOKENS, OUTPUT_TOKENS, BatchHouse

MODEL = "openai/double"
PRICE = Price(1, MODEL, 0, None, "test", (Rates(1_000, 2_000), Rates(500, 1_000, service=BATCH)))
IN_BATCH = (INPUT_TOKENS * 500 + OUTPUT_TOKENS * 1_000) // 1_000
HELD = 10_000_000
SAMPLES = 6


@dataclass
class Shop:
    """A job that is under way in this worker, and who sells batches."""

    engine: Engine
    house: BatchHouse
    target: ModelTarget
    batches: Batches
    jobs: JobStore
    clock: FakeClock
    claim: int
    settled: list[str] = field(default_factory=list)

    def purchase(self, until_s: float = 1e9, claim: int | None = None) -> Purchase:
        """A wave that is to be bought; the clock stands, and each look at it is a second."""
        job_id, seconds = f"resp_{REQUEST_ID}", iter(range(1_000_000))
        times, claim = BatchTimes(until_s, 5.0), claim or self.claim
        return Purchase(
            job_id, REQUEST_ID, claim, "s0", self.target, Tier.PARALLEL, times, self.orders, lambda: next(seconds)
        )

    def orders(self) -> Sequence[BatchOrder]:
        """Six samples."""
        asked = [{"role": "user", "content": "How many?"}]
        actions = [JobAction(f"s{i}", JobStage.SAMPLE, MODEL, i) for i in range(SAMPLES)]
        return [BatchOrder(one, ProviderRequest(self.target, asked, {}, max_output_tokens=50), 100) for one in actions]

    async def buy(self, purchase: Purchase | None = None) -> Purchase:
        """Buy a wave to the end."""
        purchase = purchase or self.purchase()
        await self.batches.wait_for(purchase, lambda: False)
        return purchase

    @property
    def kept(self) -> KeptBatch:
        """The batch as it is kept."""
        kept = self.batches.store.get(f"resp_{REQUEST_ID}", "s0")
        assert kept is not None
        return kept

    @property
    def ends(self) -> Counter[CallStatus]:
        """How its calls ended."""
        return Counter(call.result.status for call in self.kept.calls if call.result is not None)

    @property
    def spent(self) -> int:
        """What the job has spent."""
        job = self.jobs.get(f"resp_{REQUEST_ID}")
        assert job is not None
        return job.spent_nanousd

    def end_job(self) -> None:
        """The job ends."""
        self.jobs.finish(f"resp_{REQUEST_ID}", self.claim, Ending(JobStatus.CANCELLED), NOON, 10**12)

    async def look_after(self) -> None:
        """Have what is left looked after, until nothing is due."""
        keeper = BatchKeeper(self.batches, self.jobs, {MODEL: self.target}, self._settle, self.clock)
        for batch in self.batches.store.list_left(self.clock.now_us(), 10):
            await keeper.tend(batch)

    async def _settle(self, job_id: str) -> None:
        self.settled.append(job_id)


@pytest.fixture
async def shop(engine: Engine) -> AsyncIterator[Shop]:
    house, providers, clock, jobs = BatchHouse(), Providers(trust_env=False), FakeClock(), JobStore(engine)
    job = a_job(status=JobStatus.QUEUED, held_nanousd=HELD)
    jobs.insert(job)
    claim = jobs.begin(job.id, "worker-1", NOON)
    assert claim is not None
    async with TestServer(house.app()) as server:
        target = ModelTarget(MODEL, api_base=str(server.make_url("/v1")), batch_window="24h")
        store, prices = BatchStore(engine), PriceBook([PRICE])
        batches = Batches(store, prices, providers.batches_of, clock, lambda: True, pause_s=0.001)
        yield Shop(engine, house, target, batches, jobs, clock, claim)
    await providers.close()


async def test_a_wave_is_answered_at_the_rates_of_batches_and_leaves_no_file(shop: Shop) -> None:
    purchase = await shop.buy()
    answers = [purchase.answer_of(f"s{i}") for i in range(SAMPLES)]
    assert [answer.choice.content for answer in answers if answer is not None] == ["The answer is 12."] * SAMPLES
    assert (shop.ends, shop.spent) == (Counter({CallStatus.OK: SAMPLES}), SAMPLES * IN_BATCH)
    assert (shop.house.creations, shop.house.files) == (1, {})
    with shop.engine.connect() as connection:
        assert len(connection.execute(select(JobCallRow.call_no)).all()) == SAMPLES


async def test_a_batch_that_was_created_though_the_answer_was_an_error_is_found(shop: Shop) -> None:
    shop.house.creation = "lost"
    await shop.buy()
    assert (shop.house.creations, shop.ends[CallStatus.OK]) == (1, SAMPLES)


@pytest.mark.parametrize("wrong", ["refused", "rejected"])
async def test_what_the_provider_takes_no_batch_of_is_free_and_left_to_usual_calls(shop: Shop, wrong: str) -> None:
    shop.house.creation, shop.house.rejects = ("refused" if wrong == "refused" else "ok"), wrong == "rejected"
    purchase = await shop.buy()
    assert purchase.answer_of("s0") is None
    assert (shop.spent, shop.house.served.total(), shop.house.files) == (0, 0, {})


async def test_another_run_takes_the_answers_that_are_kept_and_buys_nothing(shop: Shop) -> None:
    await shop.buy()
    again = await shop.buy()
    assert again.answer_of("s5") is not None
    assert (shop.house.uploads, shop.house.creations, shop.spent) == (1, 1, SAMPLES * IN_BATCH)


async def test_a_run_that_died_before_it_noted_the_batch_is_gone_on_with(shop: Shop) -> None:
    shop.house.validates_for = 10**9
    purchase = shop.purchase(until_s=3.0)
    await shop.buy(purchase)
    with shop.engine.begin() as connection:
        connection.execute(update(JobBatchRow).values(batch_id=None, unwanted_at=None))
    shop.house.validates_for = 0
    shop.house.batches[0].status = "validating"
    assert (await shop.buy()).answer_of("s0") is not None
    assert (shop.house.uploads, shop.house.creations) == (1, 1)


async def test_one_that_died_before_it_created_a_batch_creates_none_later(shop: Shop) -> None:
    shop.house.creation = "refused"
    await shop.buy()
    unsettled = {"settled_at": None, "file_id": "file-in1", "batch_id": None}
    with shop.engine.begin() as connection:
        connection.execute(update(JobBatchRow).values(**unsettled))
    assert (await shop.buy()).answer_of("s0") is None
    assert (shop.house.creations, shop.ends) == (1, Counter({CallStatus.NOT_SENT: SAMPLES}))


async def test_when_time_runs_out_what_was_answered_is_taken_and_the_rest_called_off(shop: Shop) -> None:
    shop.house.stops_after = 2
    purchase = await shop.buy(shop.purchase(until_s=8.0))
    answers = sum(purchase.answer_of(f"s{i}") is not None for i in range(SAMPLES))
    assert answers == shop.house.served["batch"] == shop.ends[CallStatus.OK] < SAMPLES
    assert shop.spent == answers * IN_BATCH


async def test_lines_that_are_missing_are_not_paid_where_the_counts_explain_them(shop: Shop) -> None:
    shop.house.missing, shop.house.failing = 1, 1
    await shop.buy()
    assert shop.ends == Counter({CallStatus.OK: 4, CallStatus.ERROR: 1, CallStatus.CANCELLED: 1})


async def test_what_is_not_held_for_is_never_bought_in_a_batch_later(shop: Shop) -> None:
    with shop.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET held_nanousd = 10")
    assert (await shop.buy()).call_of("s0") is None
    with shop.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET held_nanousd = 100000000")
    assert (await shop.buy()).call_of("s0") is None
    assert shop.house.uploads == 0


async def test_a_worker_that_was_taken_over_from_buys_nothing(shop: Shop) -> None:
    purchase = await shop.buy(shop.purchase(claim=shop.claim + 1))
    assert purchase.is_lost
    assert shop.house.uploads == 0


async def test_what_a_job_leaves_behind_is_called_off_settled_and_booked_by_any_worker(shop: Shop) -> None:
    shop.house.stops_after, shop.house.cancels_for = 2, 20
    await shop.buy(shop.purchase(until_s=0.0))
    shop.end_job()
    while not shop.settled:
        shop.clock.advance(600)
        await shop.look_after()
    assert shop.ends[CallStatus.OK] == shop.house.served["batch"]
    assert shop.spent == shop.house.served["batch"] * IN_BATCH
    assert (shop.house.batches[0].status, shop.house.files) == ("cancelled", {})
    assert not shop.kept.answers  # nobody needs them


async def test_what_cannot_be_looked_at_for_two_days_keeps_its_bounds(shop: Shop) -> None:
    shop.house.cancels_for = 20
    await shop.buy(shop.purchase(until_s=0.0))
    shop.end_job()
    bounds = sum(call.intent.hold_nanousd or 0 for call in shop.kept.calls)
    shop.house.batches.clear()
    shop.clock.advance(47 * 3_600)
    await shop.look_after()
    assert not shop.settled
    shop.clock.advance(2 * 3_600)
    await shop.look_after()
    assert (shop.ends, shop.spent) == (Counter({CallStatus.UNKNOWN: SAMPLES}), bounds)


async def test_two_workers_who_settle_a_batch_settle_it_once(shop: Shop) -> None:
    await shop.buy()
    kept = msgspec.structs.replace(shop.kept, answers={})
    assert not shop.batches.store.settle(kept, NOON)
    assert shop.spent == SAMPLES * IN_BATCH


async def test_whoever_deletes_a_job_deletes_the_answers_of_its_batches(shop: Shop) -> None:
    await shop.buy()
    assert shop.kept.answers
    assert shop.jobs.delete(f"resp_{REQUEST_ID}", None, NOON, 10**12)
    assert not shop.kept.answers
