"""The composition root: from settings to services to the Starlette app. Nothing else builds what it builds."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from classifier import artifact
from classifier.drift import CalibrationMonitor
from router.admin import site as admin
from router.admin.services import Services
from router.api.admission import AdmissionControl, Shares
from router.api.aliases import Aliases
from router.api.auth import Authenticator
from router.api.chat.endpoint import Chat
from router.api.completions import Completions
from router.api.cors import cross_origin
from router.api.embeddings import Embeddings
from router.api.errors import HANDLERS
from router.api.feedback import FeedbackEndpoint, RevenueEndpoint
from router.api.guide.endpoint import Docs, Document, Guide
from router.api.health import GaugeReadings, Live, Ready, Scrape
from router.api.idempotency import Idempotency
from router.api.messages.endpoint import CountTokens, Messages
from router.api.models import ModelListing, Models
from router.api.quotes import QuoteEndpoint
from router.api.responses.background import find_stored_job
from router.api.responses.endpoint import Responses
from router.api.responses.jobs import JOB_ACTS, Background, JobEndpoint
from router.api.responses.store import ChainLimits, ResponseStore
from router.api.responses.stored import StoredEndpoint
from router.api.routes import ROUTES, HttpRoute
from router.api.shutdown import STATE, ClosingStep, Shutdown, in_thread, take_steps
from router.api.usage import UsageEndpoint
from router.books import OpenBooks
from router.canary.monitor import CanaryMonitor
from router.canary.verdicts import HarmLimits
from router.chat import site as chat
from router.chat.pages import ChatOffers
from router.clock import SystemClock
from router.database import last_known
from router.database.leader import Leadership
from router.database.learning_tables import DuelDay
from router.decision.costs import CostForecaster
from router.decision.engine import DecisionEngine
from router.decision.forecast import ExpectedVote
from router.decision.latency import LatencyWindow
from router.decision.policy import Policy
from router.decision.quotes import Quoter
from router.exchange import Dispatcher
from router.health.breaker import BreakerState
from router.health.targets import HealthBook
from router.jobs.callback_ways import ways_of
from router.jobs.callbacks import Callbacks
from router.jobs.opening import open_jobs
from router.jobs.store import JobStore
from router.keys import KeyRing
from router.learning.artifacts import Artifacts
from router.learning.duels import Duels
from router.learning.selection import Learning
from router.ledger import rollups
from router.ledger.agreements import EvidenceFollower, VoteEvidence
from router.ledger.allowance import DayAllowance
from router.ledger.cost_factors import CostBook
from router.ledger.coverage import CoverageBook, CoverageBudget
from router.ledger.feedback import FeedbackBook
from router.ledger.last_turns import LastTurns
from router.ledger.leases import BudgetLeases
from router.ledger.marks import MarkBook
from router.ledger.persons import PersonAllowances
from router.ledger.read_prefixes import ReadPrefixes
from router.ledger.recent import RecentDecisions
from router.ledger.replays import Replays
from router.ledger.shipping import Shipper, spool_directory
from router.ledger.spool import Spool
from router.ledger.stored import StoredResponses
from router.limits.gate import LimitGate
from router.limits.windows import open_windows
from router.lineup import Lineup
from router.metrics import Metrics
from router.money import nano_from_usd
from router.notifications.channels import channels_of
from router.notifications.monitor import AlertMonitor
from router.notifications.rules import DriftReading, OpenBreaker
from router.pacing.multipliers import Multipliers
from router.policies.versions import PolicyBook
from router.providers.clients import Providers
from router.refresher import Refresher
from router.reports.coverage import RecentCoverage
from router.reports.usage import usage_of_keys
from router.settings import RESERVED_NAMES, Settings
from router.telemetry.failures import FailureLog
from router.telemetry.machine_metrics import MachineMetrics
from router.telemetry.request_log import RequestLog
from router.telemetry.spans import open_spans
from router.tiers.parallel.calibration import CalibrationTable
from router.tiers.parallel.coverage import count_votes
from router.tiers.parallel.shadow import ShadowSlice
from router.tiers.permits import TargetBook
from router.types import Tier

SHIPPING_STEP_S = 12.0
HTTP_ROUTES = (
    *ROUTES,
    *(HttpRoute(method, path, "none", summary) for method, path, summary in (*chat.ROUTES, *admin.ROUTES)),
)


def create(settings: Settings, environ: Mapping[str, str] = os.environ) -> Starlette:
    """Build everything; raises WrongSetting, DatabaseUnusable, ArtifactError or Unavailable naming the cause."""
    clock, metrics = SystemClock(), Metrics()
    books = OpenBooks.at_start(settings, clock)
    engine, prices, earnings, last = books.engine, books.prices, books.revenue, books.last_known
    keys = KeyRing(engine, settings.limits.of_keys(), clock.now_us)
    policy_book = PolicyBook(engine, last)
    if last is not None:
        keys.refresh(last)
    artifacts = Artifacts(
        engine, artifact.load(settings.artifact), tell=metrics.count_fallback, alarm=metrics.set_classifier_missing
    )
    books.read(artifacts.follow)
    # A classifier before the policy it is for.
    # The shipping thread says when the database is away.
    leadership = Leadership(engine)
    follows = keys.refresh, artifacts.follow, policy_book.refresh, lambda: prices.refresh(engine), leadership.refresh
    refresher = Refresher(follows, quiet=(SQLAlchemyError,))
    providers, lineup = Providers(trust_env=settings.trust_env), Lineup.of(settings, environ)
    targets = TargetBook(HealthBook(clock, settings.state_dir, tell_opened=metrics.count_breaker_opening))
    targets.learn_of(lineup.every)

    spool = Spool.open(spool_directory(settings.state_dir), durability=settings.durability)
    ships = partial(leadership.leads, "shipping")
    shipper = Shipper(
        spool,
        engine,
        feature_days=settings.learning.keep_days,
        mark_months=settings.marks.keep_months,
        leads=ships,
    )
    paces = Multipliers(engine, lambda: policy_book.active, clock.now_us, leads=ships)
    limits = HarmLimits(**settings.canary.model_dump())
    canary_monitor = CanaryMonitor(
        engine, policy_book, clock.now_us, limits=limits, wiring=settings.tiers, tell=metrics.set_canary
    )
    leases = BudgetLeases(engine, spool.path.stem, clock.now_us)
    leases.load(last)
    if last is not None:
        shipper.begin_away(books.known_at_us, lambda: books.welcome_back(settings, clock.now_us()))
    shipper.follow(leases.refresh, "budgets")  # first: whatever else fails, money goes on being counted
    marks = MarkBook(engine, clock.now_us) if settings.marks.enabled else None
    if marks is not None:
        books.read(marks.follow)
        shipper.follow(marks.follow, "marks")
    persons = PersonAllowances(engine, clock.now_us)
    shipper.follow(persons.follow, "allowances")
    votes, feedback = CoverageBook(engine, clock.now_us), FeedbackBook(engine)
    followers: dict[str, Callable[[], None]] = {
        "pacing": paces.follow,
        "canaries": canary_monitor.follow,
        "revenue": lambda: earnings.refresh(engine),
        "rollups": rollups.refresher(engine, clock.now_us, ships),
        "votes": votes.follow,
        "last known state": last_known.LastKnownFile(engine, settings.state_dir, clock.now_us).follow,
    }
    for name, follow in followers.items():
        shipper.follow(follow, name)

    calibration_monitor, coverage = CalibrationMonitor(), RecentCoverage(engine, clock.now_us)
    sampled = settings.tiers.parallel
    shadow = ShadowSlice(
        sampled.coverage_share,
        CoverageBudget(engine, nano_from_usd(sampled.coverage_usd_per_day), clock.now_us),
        lambda seen: votes.note(count_votes(seen)),
    )
    parallel = lineup.parallel(settings, prices, shadow, clock, metrics.count_skipped_check)

    def take_evidence(evidence: VoteEvidence) -> None:
        parallel.calibration = CalibrationTable.from_evidence(evidence)

    shipper.follow(coverage.follow, "coverage")
    shipper.follow(EvidenceFollower(engine, clock.now_us, take_evidence).follow, "agreements")
    duels = Duels(
        lineup.rivals,
        DayAllowance(engine, DuelDay, nano_from_usd(settings.learning.duel_usd_per_day)),
        parallel.checkers,
        clock.now_us,
        judges=lineup.judges,
        tell=metrics.count_duel,
    )
    shown_costs, last_turns = CostBook(engine, clock.now_us), LastTurns(engine, clock.now_us)
    shipper.follow(shown_costs.follow, "costs shown")
    read_prefixes = ReadPrefixes(engine, clock.now_us)
    shipper.follow(last_turns.follow, "last turns")
    shipper.follow(read_prefixes.follow, "prefixes read")

    def expect_stop(p_sampled: float, is_votable: bool, policy: Policy) -> ExpectedVote:
        dials = policy.parallel_samples, policy.parallel_confidence
        return ExpectedVote(*parallel.predict_stop(p_sampled, is_votable, *dials))

    costs = CostForecaster(prices, lineup.by_tier, shown_costs, expect_stop, clock.now_us)
    waits = LatencyWindow(clock.ticks_ms)
    routing = DecisionEngine(
        artifacts.model,
        policy_book,
        lineup.by_tier,
        lineup.explicit,
        waits=waits,
        paced=paces.pace,
        shut_tiers=targets.shut_tiers(lineup.by_tier),
        costs=costs,
        last_turn=last_turns.of,
        read_elsewhere=read_prefixes.of,
        chooses_effort=settings.tiers.reasoning.chooses_effort,
    )
    recent = RecentDecisions(engine, clock.now_us, routing.take_recent)
    books.read(recent.refresh)
    shipper.follow(recent.refresh, "last decisions")
    spans = open_spans(settings.otel)
    request_log = RequestLog(settings.log.requests) if settings.log.requests != "off" else None
    server = settings.server
    admission = AdmissionControl(
        server.max_concurrent_requests,
        server.max_queued_requests,
        server.queue_timeout_s,
        Shares(server.max_concurrent_per_key, server.max_concurrent_per_segment, server.max_concurrent_per_target),
        lineup.first_of,
        server.max_body_bytes_in_flight,
        gate=LimitGate(open_windows(settings.limits.storage)),
    )
    job_store = JobStore(engine)
    tell_failure = FailureLog(metrics.count_failure, clock).note
    dispatcher = Dispatcher(
        routing=routing,
        tiers={
            Tier.FAST: lineup.single(Tier.FAST),
            Tier.REASONING: lineup.single(Tier.REASONING),
            Tier.PARALLEL: parallel,
        },
        explicit=lineup.explicit_runners(),
        relays=lineup.relay_runners(),
        targets=targets,
        tell_failure=tell_failure,
        request_log=request_log,
        spans=spans,
        marks=marks,
        persons=persons,
        books=spool,
        prices=prices,
        revenue=earnings,
        provider_of=providers.of,
        clock=clock,
        is_low=lambda: spool.is_low,
        is_short=admission.is_short,
        metrics=metrics,
        leases=leases,
        pressure=paces.pressure,
        learning=Learning(duels if lineup.can_duel else None, settings.learning.keep_share),
    )

    def learn(request_id: str, promised: float, correct: float) -> None:
        calibration_monitor.observe(promised, correct)

    quoter = Quoter(routing, costs, waits, lineup.by_tier, targets.seconds_for)
    authenticator, shutdown = Authenticator(keys, server.auth), Shutdown()
    response_store = ResponseStore(
        StoredResponses(engine),
        server.stored_response_days,
        clock.now_us,
        ChainLimits(server.max_body_bytes, server.max_chain_responses, server.max_stored_bytes_per_key),
        find_job=find_stored_job(job_store, clock.now_us),
    )
    ways = ways_of(settings.jobs.webhooks, settings.jobs.mail, clock, environ=environ)
    callbacks = Callbacks(engine, clock, job_store.get, ways)
    work = open_jobs(
        settings,
        engine,
        job_store,
        spool,
        prices,
        providers.of,
        clock,
        targets,
        lineup,
        parallel,
        tell_failure,
        callbacks.tell_end,
        lambda: shown_costs.shown,
        persons,
    )
    background = None
    if work is not None:
        after_s = settings.jobs.background_after_s
        background = Background(work.jobs, dispatcher, quoter, server.keep_alive_s, after_s)
    if work is not None:
        shipper.follow_jobs(work.watch.results_of, work.watch.note_dead)
    idempotency = Idempotency(Replays(engine, server.max_stored_bytes_per_key), clock.now_us)
    aliases = Aliases(settings.aliases, RESERVED_NAMES | settings.models.keys())
    listed = ModelListing.of_lineup(lineup, aliases)
    models, names = Models(listed, authenticator, clock.now_us() // 1_000_000), {model.id for model in listed}
    gauges = GaugeReadings(
        metrics,
        lambda: shipper.state,
        lambda: admission.occupancy,
        lambda: routing.drift(policy_book.active.classifier),
        calibration_monitor,
        lambda: coverage.figures,
        lambda: leadership.is_leader,
        targets.read,
    )
    machine_metrics = MachineMetrics(settings.state_dir / "metrics", gauges.collect, metrics.across)

    def endpoints_for(way_in: Authenticator) -> dict[tuple[str, str], ASGIApp]:
        """Make what both programs and the page at /chat ask, by method and address below /v1."""
        largest, is_known = dispatcher.largest_costs, names.__contains__
        shared = way_in, admission, server
        stored = StoredEndpoint(response_store, way_in, background)
        acts = {act: JobEndpoint(background, act, way_in, server, admission.bodies) for act in JOB_ACTS}
        return {
            ("POST", "/chat/completions"): Chat(dispatcher, *shared, aliases, idempotency, background),
            ("POST", "/responses"): Responses(
                dispatcher, *shared, response_store, clock.now_us, aliases, idempotency, background
            ),
            ("GET", "/responses/{response_id}"): stored,
            ("DELETE", "/responses/{response_id}"): stored,
            **{("POST", f"/responses/{{response_id}}/{act}"): at for act, at in acts.items()},
            ("POST", "/quotes"): QuoteEndpoint(quoter, largest, way_in, server, aliases, is_known, admission.bodies),
            ("POST", "/feedback"): FeedbackEndpoint(feedback, way_in, server, clock.now_us, learn, admission.bodies),
        }

    endpoints: dict[tuple[str, str], ASGIApp] = {
        **{(method, f"/v1{path}"): at for (method, path), at in endpoints_for(authenticator).items()},
        ("POST", "/v1/messages"): Messages(dispatcher, authenticator, admission, server, aliases),
        ("POST", "/v1/messages/count_tokens"): CountTokens(
            authenticator, server, aliases, names.__contains__, admission.bodies
        ),
        ("POST", "/v1/embeddings"): Embeddings(dispatcher, authenticator, admission, server, aliases),
        ("POST", "/v1/completions"): Completions(dispatcher, authenticator, admission, server, aliases),
        ("GET", "/v1/models"): models,
        ("GET", "/v1/models/{model:path}"): models,
        ("GET", "/v1/usage"): UsageEndpoint(usage_of_keys(engine), authenticator, clock.now_us),
        ("POST", "/v1/revenue-events"): RevenueEndpoint(
            feedback, authenticator, server, clock.now_us, admission.bodies
        ),
        ("GET", "/"): Guide(),
        ("GET", "/v1"): Guide(),
        ("GET", "/docs"): Docs(),
        ("GET", "/openapi.json"): Document(),
        ("GET", "/health/live"): Live(),
        ("GET", "/health/ready"): Ready(
            lambda: shipper.state, lambda: shutdown.is_stopping, lambda: admission.occupancy, targets.read
        ),
        ("GET", "/metrics"): Scrape(machine_metrics, authenticator),
    }
    routes: list[BaseRoute] = [Route(path, at, methods=[method]) for (method, path), at in endpoints.items()]
    pages = Services(
        engine,
        settings,
        clock.now_us,
        policy_book,
        routing,
        prices,
        quoter,
        dispatcher.largest_costs,
        lambda: shipper.state,
        lambda: artifacts.at_hand(policy_book.active.classifier),
        canary_monitor.verdict_on,
        targets.read,
    )
    routes += admin.admin_routes(pages, environ)
    offers = ChatOffers(jobs=work is not None, mail=work is not None and settings.jobs.mail is not None)
    routes += chat.chat_routes(settings, chat.ChatParts(engine, keys, clock.now_us, endpoints_for, offers))

    def read_drift() -> list[DriftReading]:
        drifts = {"scores": routing.drift(policy_book.active.classifier), "calibration": calibration_monitor.gap()}
        return [DriftReading(name, abs(one.value), one.threshold, one.is_alarming) for name, one in drifts.items()]

    def read_open_breakers() -> list[OpenBreaker]:
        read = [(target.model, target.breaker) for target in targets.read()]
        shut = (BreakerState.OPEN, BreakerState.HALF_OPEN)
        return [OpenBreaker(model, one.since_us or 0, one.cause) for model, one in read if one.state in shut]

    channels = channels_of(settings.alerts, clock, trust_env=settings.trust_env, environ=environ)
    alert_monitor = None
    if settings.alerts.enabled:
        alert_monitor = AlertMonitor(
            engine,
            settings.alerts,
            channels,
            clock,
            lambda: policy_book.active,
            lambda: shipper.state,
            read_drift,
            read_open_breakers,
            partial(leadership.leads, "alerts"),
        )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Shutdown]]:
        shipper.start()
        refresher.start()
        if alert_monitor is not None:
            alert_monitor.start()
        if request_log is not None:
            request_log.start()
        machine_metrics.start()
        if work is not None:
            work.watch.start()
            callbacks.start()
        await providers.warm(lineup.every)
        try:
            yield {STATE: shutdown}
        finally:
            shutdown.is_stopping = True
            await take_steps(
                (
                    ClosingStep("background jobs", lambda: in_thread(work.watch.stop if work else lambda: None)),
                    ClosingStep("callbacks of jobs", lambda: in_thread(callbacks.stop)),
                    ClosingStep("the duels", duels.close),
                    ClosingStep("the parallel tier", parallel.close),
                    ClosingStep("answers that are kept for their keys", idempotency.close),
                    ClosingStep("the connections to providers", providers.close),
                    ClosingStep("the counts of limits", admission.gate.windows.close),
                    ClosingStep("following policies and keys", lambda: in_thread(refresher.stop)),
                    ClosingStep("the lead", lambda: in_thread(leadership.resign)),
                    ClosingStep("shipping what is settled", lambda: in_thread(shipper.stop), SHIPPING_STEP_S),
                    ClosingStep("allowances that were not used up", lambda: in_thread(persons.follow)),
                    ClosingStep(
                        "giving leases back", lambda: in_thread(lambda: leases.close() if shipper.is_done else None)
                    ),
                    ClosingStep("the alerts", lambda: in_thread(alert_monitor.stop if alert_monitor else lambda: None)),
                    ClosingStep("the metrics", lambda: in_thread(machine_metrics.stop)),
                    ClosingStep("the spans", lambda: in_thread(spans.close if spans else lambda: None)),
                    ClosingStep(
                        "the request log", lambda: in_thread(request_log.stop if request_log else lambda: None)
                    ),
                    ClosingStep("the breakers", lambda: in_thread(targets.close)),
                    ClosingStep("the spool", lambda: in_thread(spool.close)),
                    ClosingStep("the database", lambda: in_thread(engine.dispose)),
                )
            )

    middleware = cross_origin(server.cors_origins)
    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan, exception_handlers=HANDLERS)
