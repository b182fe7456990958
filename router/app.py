"""The composition root: from settings to services to the Starlette app. Nothing else builds what it builds."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from classifier import artifact
from classifier.drift import CalibrationWatch, ScoreStability
from router import pacing, policies, targets
from router.admin import site as admin
from router.admin.services import Services
from router.api.auth import Doorkeeper
from router.api.chat import Chat
from router.api.errors import HANDLERS
from router.api.feedback import FeedbackEndpoint, RevenueEndpoint
from router.api.gate import Gate
from router.api.health import Live, Ready, Scrape
from router.api.models import Listed, Models
from router.api.responses import Responses
from router.api.stored import Archive, StoredEndpoint
from router.artifacts import Artifacts
from router.clock import SystemClock
from router.duels import Duels
from router.exchange import Desk
from router.follower import Follower
from router.keys import DEFAULT_SEGMENT, KeyRing
from router.learning import Learning
from router.ledger import pricelist, revenue, rollups, schema
from router.ledger.coverage import CoverageBook
from router.ledger.duel_days import DuelAllowance
from router.ledger.prices import PriceBook
from router.ledger.revenue import RevenueBook
from router.ledger.shipping import Shipper, spool_directory
from router.ledger.slices import Slices
from router.ledger.spool import Spool
from router.ledger.stored import StoredResponses
from router.metrics import Metrics
from router.money import nano_from_usd
from router.paces import Prices
from router.policies import PolicyBook
from router.providers.base import ModelTarget
from router.providers.catalog import Providers
from router.routing import AUTO, Explicit, Routing
from router.settings import ModelSettings, Settings, WrongSetting
from router.tiers.base import TierRunner
from router.tiers.calibration import CalibrationTable
from router.tiers.coverage_log import CoverageLog, DailyAllowance
from router.tiers.parallel import ParallelSettings, ParallelTier
from router.tiers.shadowing import ShadowSlice
from router.tiers.single import SingleTier
from router.types import Tier, Usage
from router.verdicts import Limits
from router.waits import Waits
from router.watching import Watch

USUAL_PRICE_RATIO = 30.0
SAMPLE = Usage(input_fresh=1_500, output_visible=350)  # an ordinary consumer turn with its history
STRONG_ANSWER = Usage(input_fresh=1_500, output_visible=350, output_reasoning=2_000)


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """One row of the HTTP reference."""

    method: str
    path: str
    scope: str
    summary: str


HTTP_ROUTES = (
    HttpRoute("POST", "/v1/chat/completions", "chat", "Answer a conversation, streamed or whole."),
    HttpRoute("POST", "/v1/responses", "chat", "Answer in the form of the Responses API, streamed or whole."),
    HttpRoute("GET", "/v1/responses/{response_id}", "chat", "Show a response that the same key stored."),
    HttpRoute("DELETE", "/v1/responses/{response_id}", "chat", "Delete a response that the same key stored."),
    HttpRoute("GET", "/v1/models", "any", "List the models: auto, the tiers, the explicitly configured ones."),
    HttpRoute("GET", "/v1/models/{model}", "any", "Show one model."),
    HttpRoute("POST", "/v1/feedback", "feedback", "Rate an answer of the same key."),
    HttpRoute("POST", "/v1/revenue-events", "revenue", "Book revenue that a network reported."),
    HttpRoute("GET", "/health/live", "none", "Is the process alive?"),
    HttpRoute("GET", "/health/ready", "none", "Can it serve? How late are the books?"),
    HttpRoute("GET", "/metrics", "metrics", "Prometheus metrics of this worker."),
    *(HttpRoute(method, path, "none", summary) for method, path, summary in admin.ROUTES),
)


def create(settings: Settings, environ: Mapping[str, str] = os.environ) -> Starlette:
    """Build everything; raises WrongSetting, DatabaseUnusable, ArtifactError or Unavailable naming the cause."""
    clock = SystemClock()
    engine = schema.ready_engine(settings.database_url)
    policies.import_dials(engine, settings.policy.model_dump(), clock.now_us())
    segments = {DEFAULT_SEGMENT: settings.revenue}
    segments |= {name: segment.revenue for name, segment in settings.segments.items() if segment.revenue}
    revenue.sync(engine, segments, clock.now_us())
    pricelist.sync(engine, settings.model_names(), settings.prices, clock.now_us())
    prices, earnings = PriceBook.load(engine), RevenueBook.load(engine)
    _require_prices(settings, prices, clock.now_us())
    classifier = artifact.load(settings.artifact)
    keys, policy_book, metrics = KeyRing(engine), PolicyBook(engine), Metrics()
    artifacts = Artifacts(engine, classifier, tell=metrics.fell_back, alarm=metrics.classifier_missing)
    artifacts.follow()
    providers = Providers()
    spool = Spool.open(spool_directory(settings.state_dir), durability=settings.durability)
    shipper = Shipper(spool, engine, feature_days=settings.learning.keep_days)
    # A classifier before the policy it is for.
    follower = Follower((keys.refresh, artifacts.follow, policy_book.refresh))
    paces = Prices(engine, lambda: policy_book.active, clock.now_us)
    shipper.follow(paces.follow)
    limits = Limits(**settings.canary.model_dump())
    watch = Watch(engine, policy_book, clock.now_us, limits=limits, wiring=settings.tiers, tell=metrics.watched)
    shipper.follow(watch.follow)
    shipper.follow(lambda: prices.refresh(engine))
    shipper.follow(lambda: earnings.refresh(engine))
    shipper.follow(rollups.follower(engine, clock.now_us))
    slices = Slices(engine, spool.path.stem, clock.now_us)
    slices.load()
    shipper.follow(slices.refresh)
    explicit = {
        name: Explicit(_booked_under(settings.models[name]), models)
        for name, models in targets.explicit(settings, environ).items()
    }
    score_watch, calibration_watch = ScoreStability(classifier.reference_scores), CalibrationWatch()
    by_tier = _by_tier(settings, environ)
    votes = CoverageBook(engine, clock.now_us)
    shipper.follow(votes.follow)
    coverage = CoverageLog(votes.note)
    parallel = _parallel(settings, by_tier, prices, coverage, clock)
    rivals = {tier: by_tier[tier][0] for tier in (Tier.FAST, Tier.REASONING)}
    duels = Duels(
        rivals,
        DuelAllowance(engine, nano_from_usd(settings.learning.duel_usd_per_day)),
        parallel.checkers,
        clock.now_us,
        judges=targets.judges(settings, environ),
        tell=metrics.duelled,
    )
    routing = Routing(
        artifacts.model,
        policy_book,
        by_tier,
        explicit,
        waits=Waits(clock.ticks_ms),
        observe_score=score_watch.observe,
        paced=lambda policy, segment: pacing.applied(policy, paces.multiplier(segment)),
    )
    desk = Desk(
        routing=routing,
        tiers={**_single(by_tier), Tier.PARALLEL: parallel},
        explicit={name: SingleTier(model.tier, model.targets) for name, model in explicit.items()},
        books=spool,
        prices=prices,
        revenue=earnings,
        provider_of=providers.of,
        clock=clock,
        is_low=lambda: spool.is_low,
        metrics=metrics,
        slices=slices,
        pressure=lambda segment: pacing.pressure(paces.multiplier(segment)),
        # The embedded model has no time to spare: its duels would slow down answers.
        learning=Learning(None if _are_embedded(rivals.values()) else duels, settings.learning.keep_share),
    )
    doorkeeper = Doorkeeper(keys, settings.server.auth)
    server = settings.server
    gate = Gate(server.max_concurrent_requests, server.max_queued_requests, server.queue_timeout_s)
    archive = Archive(StoredResponses(engine), server.stored_response_days, clock.now_us)
    stored = StoredEndpoint(archive, doorkeeper)
    stopping = asyncio.Event()
    listed = _listed(by_tier, explicit)

    def learn(request_id: str, promised: float, correct: float) -> None:
        parallel.learn(request_id, correct)
        coverage.label(request_id, correct)
        calibration_watch.observe(promised, correct)

    endpoints: dict[tuple[str, str], ASGIApp] = {
        ("POST", "/v1/chat/completions"): Chat(desk, doorkeeper, gate, server),
        ("POST", "/v1/responses"): Responses(desk, doorkeeper, gate, server, archive, clock.now_us),
        ("GET", "/v1/responses/{response_id}"): stored,
        ("DELETE", "/v1/responses/{response_id}"): stored,
        ("GET", "/v1/models"): Models(listed, doorkeeper, clock.now_us() // 1_000_000),
        ("GET", "/v1/models/{model:path}"): Models(listed, doorkeeper, clock.now_us() // 1_000_000),
        ("POST", "/v1/feedback"): FeedbackEndpoint(engine, doorkeeper, server, clock.now_us, learn),
        ("POST", "/v1/revenue-events"): RevenueEndpoint(engine, doorkeeper, server, clock.now_us),
        ("GET", "/health/live"): Live(),
        ("GET", "/health/ready"): Ready(lambda: shipper.state, stopping.is_set),
        ("GET", "/metrics"): Scrape(
            metrics, lambda: shipper.state, score_watch, calibration_watch, coverage, doorkeeper
        ),
    }

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        shipper.start()
        follower.start()
        await providers.warm(targets.every(settings, environ))
        try:
            yield
        finally:
            stopping.set()
            parallel.calibration.save(_agreement_file(settings))
            await duels.close()
            await parallel.close()
            await providers.close()
            await asyncio.to_thread(follower.stop)
            if await asyncio.to_thread(shipper.stop):
                await asyncio.to_thread(slices.close)
            spool.close()
            engine.dispose()

    routes: list[BaseRoute] = [Route(path, at, methods=[method]) for (method, path), at in endpoints.items()]
    pages = Services(
        engine,
        settings,
        clock.now_us,
        policy_book,
        routing,
        prices,
        lambda: shipper.state,
        classifier.reference_scores,
        watch.verdict_on,
    )
    routes += admin.mounted(pages, environ)
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=HANDLERS)


def _by_tier(settings: Settings, environ: Mapping[str, str]) -> dict[Tier, tuple[ModelTarget, ...]]:
    """The models of each tier: the one that answers and its fallbacks, or those that are sampled."""
    return {
        Tier.FAST: targets.with_fallbacks(settings, settings.tiers.fast, environ),
        Tier.REASONING: targets.with_fallbacks(settings, settings.tiers.reasoning, environ),
        Tier.PARALLEL: targets.sampled(settings, environ),
    }


def _are_embedded(models: Iterable[ModelTarget]) -> bool:
    return any(model.provider == "embedded" for model in models)


def _single(by_tier: Mapping[Tier, tuple[ModelTarget, ...]]) -> dict[Tier, TierRunner]:
    return {tier: SingleTier(tier, by_tier[tier]) for tier in (Tier.FAST, Tier.REASONING)}


def _parallel(
    settings: Settings,
    by_tier: Mapping[Tier, tuple[ModelTarget, ...]],
    prices: PriceBook,
    coverage: CoverageLog,
    clock: SystemClock,
) -> ParallelTier:
    """The parallel tier; a confidence that its samples cannot reach stops the start."""
    parallel, sampled = settings.tiers.parallel, by_tier[Tier.PARALLEL]
    allowance = DailyAllowance(nano_from_usd(parallel.coverage_usd_per_day))
    shadow = ShadowSlice(
        parallel.coverage_share, lambda nanousd: allowance.affords(nanousd, clock.now_us()), coverage.note
    )
    try:
        chosen = ParallelSettings(
            sampled,
            parallel.max_samples,
            parallel.confidence,
            _single(by_tier)[Tier.REASONING] if parallel.escalate_to else None,
            price_ratio=_price_ratio(prices, by_tier[Tier.REASONING][0], sampled[0], clock.now_us()),
        )
    except ValueError as error:
        raise WrongSetting(str(error)) from None
    table = CalibrationTable.load(_agreement_file(settings))
    return ParallelTier(chosen, calibration=table, shadow=shadow if parallel.coverage_share else None)


def _agreement_file(settings: Settings) -> Path:
    return settings.state_dir / "agreement.json"


def _price_ratio(prices: PriceBook, strong: ModelTarget, weak: ModelTarget, now_us: int) -> float:
    """What an ordinary strong answer costs, in samples of the weak model; where a price is missing, a usual ratio."""
    strong_price, weak_price = prices.in_effect(strong.name, now_us), prices.in_effect(weak.name, now_us)
    if strong_price is None or weak_price is None:
        return USUAL_PRICE_RATIO
    return max(strong_price.cost(STRONG_ANSWER) / max(weak_price.cost(SAMPLE), 1), 1.0)


def _booked_under(model: ModelSettings) -> Tier:
    """An explicit model that is asked to think is booked as reasoning, any other as fast."""
    return Tier.REASONING if model.max_thinking_tokens or model.effort not in (None, "none", "minimal") else Tier.FAST


def _listed(by_tier: Mapping[Tier, tuple[ModelTarget, ...]], explicit: Mapping[str, Explicit]) -> list[Listed]:
    found = [_facts(AUTO, [model for models in by_tier.values() for model in models])]
    found += [_facts(tier, models) for tier, models in by_tier.items()]
    return found + [_facts(name, model.targets) for name, model in explicit.items()]


def _facts(name: str, models: Sequence[ModelTarget]) -> Listed:
    """What a name can take: the longest context of its models, and what any of them is known to be able to."""
    lengths = [model.context_length for model in models if model.context_length is not None]
    able = [model.capabilities for model in models if model.capabilities is not None]
    capabilities = tuple(sorted(frozenset().union(*able))) if able else None
    return Listed(name, max(lengths, default=None), capabilities)


def _require_prices(settings: Settings, prices: PriceBook, now_us: int) -> None:
    unpriced = prices.unpriced(settings.model_names(), now_us)
    if unpriced and settings.require_prices:
        raise WrongSetting(f"require_prices: {', '.join(unpriced)} has no price; give one in [prices]")
