"""Puts a worker together from its settings, part by part, and starts and stops it."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette

from router.api.cors import cross_origin
from router.api.errors import HANDLERS
from router.api.shutdown import STATE, ClosingStep, Shutdown, in_thread, take_steps
from router.app.answering import open_answering
from router.app.bookkeeping import open_bookkeeping
from router.app.deciding import open_deciding
from router.app.endpoints import WorkerParts, routes_of
from router.app.followed import follow_books
from router.app.ground import Ground
from router.app.watching import open_watching
from router.health.targets import HealthBook
from router.lineup import Lineup
from router.settings import Settings
from router.tiers.permits import TargetBook

SHIPPING_STEP_S = 12.0


def create(settings: Settings, environ: Mapping[str, str] = os.environ) -> Starlette:
    """Build everything; raises WrongSetting, DatabaseUnusable, ArtifactError or Unavailable naming the cause."""
    ground = Ground.of(settings, environ)
    followed = follow_books(ground)
    lineup = Lineup.of(settings, environ)
    targets = TargetBook(HealthBook(ground.clock, settings.state_dir, tell_opened=ground.metrics.count_breaker_opening))
    targets.learn_of(lineup.every)
    ledger = open_bookkeeping(ground, followed)
    deciding = open_deciding(ground, followed, ledger, lineup, targets)
    answering = open_answering(ground, ledger, deciding)
    watching = open_watching(ground, followed, ledger, deciding, answering)
    parts = WorkerParts(ground, followed, ledger, deciding, answering, watching, Shutdown())
    return Starlette(
        routes=routes_of(parts),
        middleware=cross_origin(settings.server.cors_origins),
        lifespan=_lifespan_of(parts),
        exception_handlers=HANDLERS,
    )


Lifespan = Callable[[Starlette], AbstractAsyncContextManager[Mapping[str, Shutdown]]]


def _lifespan_of(parts: WorkerParts) -> Lifespan:
    """Start the threads of a worker, and end them in the order in which they need each other."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Shutdown]]:
        _start(parts)
        await parts.deciding.providers.warm(parts.deciding.lineup.every)
        try:
            yield {STATE: parts.shutdown}
        finally:
            parts.shutdown.is_stopping = True
            await take_steps(_steps_of_a_stop(parts))

    return lifespan


def _start(parts: WorkerParts) -> None:
    parts.ledger.shipper.start()
    parts.followed.refresher.start()
    if parts.watching.alerts is not None:
        parts.watching.alerts.start()
    if parts.ground.request_log is not None:
        parts.ground.request_log.start()
    parts.watching.machine_metrics.start()
    if parts.answering.work is not None:
        parts.answering.work.watch.start()
        parts.answering.callbacks.start()


def _steps_of_a_stop(parts: WorkerParts) -> list[ClosingStep]:
    ground, followed, ledger, deciding, answering, watching, _ = parts
    work, alerts, spans, request_log = answering.work, watching.alerts, ground.spans, ground.request_log
    return [
        ClosingStep("background jobs", lambda: in_thread(work.watch.stop if work else _nothing)),
        ClosingStep("callbacks of jobs", lambda: in_thread(answering.callbacks.stop)),
        ClosingStep("the duels", deciding.duels.close),
        ClosingStep("the parallel tier", deciding.parallel.close),
        ClosingStep("answers that are kept for their keys", answering.idempotency.close),
        ClosingStep("the connections to providers", deciding.providers.close),
        ClosingStep("the counts of limits", answering.admission.gate.windows.close),
        ClosingStep("following policies and keys", lambda: in_thread(followed.refresher.stop)),
        ClosingStep("the lead", lambda: in_thread(followed.leadership.resign)),
        ClosingStep("shipping what is settled", lambda: in_thread(ledger.shipper.stop), SHIPPING_STEP_S),
        ClosingStep("allowances that were not used up", lambda: in_thread(ledger.persons.follow)),
        ClosingStep(
            "giving leases back", lambda: in_thread(ledger.leases.close if ledger.shipper.is_done else _nothing)
        ),
        ClosingStep("the alerts", lambda: in_thread(alerts.stop if alerts else _nothing)),
        ClosingStep("the metrics", lambda: in_thread(watching.machine_metrics.stop)),
        ClosingStep("the spans", lambda: in_thread(spans.close if spans else _nothing)),
        ClosingStep("the request log", lambda: in_thread(request_log.stop if request_log else _nothing)),
        ClosingStep("the breakers", lambda: in_thread(deciding.targets.close)),
        ClosingStep("the spool", lambda: in_thread(ledger.spool.close)),
        ClosingStep("the database", lambda: in_thread(ground.books.engine.dispose)),
    ]


def _nothing() -> None:
    """Do nothing: what is off needs no stop."""
