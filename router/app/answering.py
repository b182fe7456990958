"""What turns a request into an answer: admission, the dispatcher, background work, and answers kept for later."""

from typing import NamedTuple

from router.api.admission import AdmissionControl, Shares
from router.api.idempotency import Idempotency
from router.api.responses.background import find_stored_job
from router.api.responses.jobs import Background
from router.api.responses.store import ChainLimits, ResponseStore
from router.app.bookkeeping import Bookkeeping
from router.app.deciding import Deciding
from router.app.ground import Ground
from router.exchange import Dispatcher
from router.jobs.callback_ways import ways_of
from router.jobs.callbacks import Callbacks
from router.jobs.opening import BackgroundWork, open_jobs
from router.jobs.store import JobStore
from router.learning.selection import Learning
from router.ledger.replays import Replays
from router.ledger.stored import StoredResponses
from router.limits.gate import LimitGate
from router.limits.windows import open_windows
from router.settings import Settings
from router.telemetry.failures import FailureLog
from router.types import Tier


class Answering(NamedTuple):
    """What endpoints ask. `work` and `background` are None where background jobs are off."""

    admission: AdmissionControl
    dispatcher: Dispatcher
    work: BackgroundWork | None
    background: Background | None
    callbacks: Callbacks
    responses: ResponseStore
    idempotency: Idempotency


def open_answering(ground: Ground, ledger: Bookkeeping, deciding: Deciding) -> Answering:
    """Put it together; nothing runs yet. Raises WrongSetting for ways of being called back that cannot work."""
    settings, books, clock = ground.settings, ground.books, ground.clock
    engine, server, failures = books.engine, settings.server, FailureLog(ground.metrics.count_failure, clock)
    admission = _open_admission(settings, deciding)
    dispatcher = _open_dispatcher(ground, ledger, deciding, admission, failures)
    job_store = JobStore(engine)
    responses = ResponseStore(
        StoredResponses(engine),
        server.stored_response_days,
        clock.now_us,
        ChainLimits(server.max_body_bytes, server.max_chain_responses, server.max_stored_bytes_per_key),
        find_job=find_stored_job(job_store, clock.now_us),
    )
    ways = ways_of(settings.jobs.webhooks, settings.jobs.mail, clock, environ=ground.environ)
    callbacks = Callbacks(engine, clock, job_store.get, ways)
    work = open_jobs(
        settings,
        engine,
        job_store,
        ledger.spool,
        books.prices,
        deciding.providers.of,
        deciding.providers.batches_of,
        clock,
        deciding.targets,
        deciding.lineup,
        deciding.parallel,
        failures.note,
        callbacks.tell_end,
        lambda: deciding.shown_costs.shown,
        ledger.persons,
    )
    background = None
    if work is not None:
        after_s = settings.jobs.background_after_s
        background = Background(work.jobs, dispatcher, deciding.quoter, server.keep_alive_s, after_s)
        ledger.shipper.follow_jobs(work.watch.results_of, work.watch.note_dead)
    idempotency = Idempotency(Replays(engine, server.max_stored_bytes_per_key), clock.now_us)
    return Answering(admission, dispatcher, work, background, callbacks, responses, idempotency)


def _open_admission(settings: Settings, deciding: Deciding) -> AdmissionControl:
    server = settings.server
    return AdmissionControl(
        server.max_concurrent_requests,
        server.max_queued_requests,
        server.queue_timeout_s,
        Shares(server.max_concurrent_per_key, server.max_concurrent_per_segment, server.max_concurrent_per_target),
        deciding.lineup.first_of,
        server.max_body_bytes_in_flight,
        gate=LimitGate(open_windows(settings.limits.storage)),
    )


def _open_dispatcher(
    ground: Ground, ledger: Bookkeeping, deciding: Deciding, admission: AdmissionControl, failures: FailureLog
) -> Dispatcher:
    lineup = deciding.lineup
    return Dispatcher(
        routing=deciding.routing,
        tiers={
            Tier.FAST: lineup.single(Tier.FAST),
            Tier.REASONING: lineup.single(Tier.REASONING),
            Tier.PARALLEL: deciding.parallel,
        },
        explicit=lineup.explicit_runners(),
        relays=lineup.relay_runners(),
        targets=deciding.targets,
        tell_failure=failures.note,
        request_log=ground.request_log,
        spans=ground.spans,
        marks=ledger.marks,
        persons=ledger.persons,
        books=ledger.spool,
        prices=ground.books.prices,
        revenue=ground.books.revenue,
        provider_of=deciding.providers.of,
        clock=ground.clock,
        is_low=lambda: ledger.spool.is_low,
        is_short=admission.is_short,
        metrics=ground.metrics,
        leases=ledger.leases,
        pressure=ledger.paces.pressure,
        learning=Learning(deciding.duels if lineup.can_duel else None, ground.settings.learning.keep_share),
    )
