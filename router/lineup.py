"""Who answers: from settings to the models of each tier, the explicit ones, and the runners over them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from router import modelmap
from router.clock import SystemClock
from router.decision.engine import Explicit
from router.ledger.prices import PriceBook
from router.providers import catalog
from router.providers.base import ModelTarget
from router.providers.embedded.client import CONTEXT_TOKENS
from router.providers.proxies import is_on_this_machine
from router.settings import LOADING_S, CallSettings, ModelSettings, Settings, WrongSetting
from router.tiers.base import TierRunner
from router.tiers.parallel.shadow import ShadowSlice
from router.tiers.parallel.tier import ParallelOptions, ParallelTier
from router.tiers.relay import RelayTier
from router.tiers.single import SingleTier
from router.tiers.vote.checkers import CheckerPool
from router.types import Tier, Usage

EMBEDDED_THINKING_TOKENS = 160
USUAL_PRICE_RATIO = 30.0
SAMPLE = Usage(input_fresh=1_500, output_visible=350)  # an ordinary consumer turn with its history
STRONG_ANSWER = Usage(input_fresh=1_500, output_visible=350, output_reasoning=2_000)


@dataclass(frozen=True, slots=True)
class Lineup:
    """The models of each tier (the one that answers and its fallbacks, or those that are sampled), and the explicit."""

    by_tier: Mapping[Tier, tuple[ModelTarget, ...]]
    explicit: Mapping[str, Explicit]
    judges: tuple[ModelTarget, ...]  # of duels
    vote_judges: tuple[ModelTarget, ...]  # of contested votes
    every: tuple[ModelTarget, ...]  # each distinct model that can be called, once

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str]) -> "Lineup":
        """Read the settings; keys of providers come from the environment.

        Raises WrongSetting for a model that cannot be called with what is installed.
        """
        every = tuple(all_targets(settings, environ))
        for says in filter(None, map(catalog.describe_uninstalled, every)):
            raise WrongSetting(says)
        for target in sampling_targets(settings, environ):
            if target.batch_window is not None and catalog.family_of(target) != "openai":
                raise WrongSetting(f"tiers.parallel.batch_window: {target.name} is not reached by OpenAI's dialect")
        return cls(
            by_tier={
                Tier.FAST: with_fallbacks(settings, settings.tiers.fast, environ),
                Tier.REASONING: with_fallbacks(settings, settings.tiers.reasoning, environ),
                Tier.PARALLEL: sampling_targets(settings, environ),
            },
            explicit={
                name: Explicit(_tier_booked(settings.models[name]), models)
                for name, models in explicit_targets(settings, environ).items()
            },
            judges=judge_targets(settings.learning.judge, environ),
            vote_judges=judge_targets(settings.tiers.parallel.judge, environ),
            every=every,
        )

    def first_of(self, model: str, tier: Tier) -> str:
        """Name the model that a request for `model` asks first once it goes to `tier`."""
        explicit = self.explicit.get(model)
        return (explicit.targets if explicit is not None else self.by_tier[tier])[0].name

    @property
    def rivals(self) -> dict[Tier, ModelTarget]:
        """The models that duel."""
        return {tier: self.by_tier[tier][0] for tier in (Tier.FAST, Tier.REASONING)}

    @property
    def can_duel(self) -> bool:
        """Tell whether duels slow down no answer: the embedded model has no time to spare."""
        return all(model.provider != "embedded" for model in self.rivals.values())

    def single(self, tier: Tier) -> TierRunner:
        """The runner of a tier that asks one model."""
        return SingleTier(tier, self.by_tier[tier])

    def explicit_runners(self) -> dict[str, TierRunner]:
        """The runners of the explicit models, by the name clients ask for."""
        return {name: SingleTier(model.tier, model.targets) for name, model in self.explicit.items()}

    def relay_runners(self) -> dict[str, TierRunner]:
        """The runners that pass calls through to explicit models, by the name clients ask for."""
        return {name: RelayTier(model.tier, model.targets[0]) for name, model in self.explicit.items()}

    def parallel(
        self,
        settings: Settings,
        prices: PriceBook,
        shadow: ShadowSlice | None,
        clock: SystemClock,
        tell_skipped: Callable[[str], None] = lambda kind: None,
    ) -> ParallelTier:
        """The runner of the parallel tier; raises WrongSetting for a confidence that its samples cannot reach.

        `tell_skipped` hears of each check that is left out because what it needs is not installed.
        """
        parallel, sampling_targets = settings.tiers.parallel, self.by_tier[Tier.PARALLEL]
        try:
            chosen = ParallelOptions(
                sampling_targets,
                parallel.max_samples,
                parallel.confidence,
                self.single(Tier.REASONING) if parallel.escalate_to else None,
                confidence_by_type=parallel.confidence_by_type,
                judges=self.vote_judges,
                price_ratio=_price_ratio(prices, self.by_tier[Tier.REASONING][0], sampling_targets[0], clock.now_us()),
                at_once=parallel.at_once,
                at_once_overall=parallel.at_once_overall,
                sample_timeout_s=parallel.sample_timeout_s,
                least_wait_s=parallel.least_wait_s,
                open_samples=parallel.open_samples,
                token_confidence=parallel.token_confidence,
                runs_code=parallel.runs_code,
            )
        except ValueError as error:
            raise WrongSetting(str(error)) from None
        return ParallelTier(chosen, checkers=CheckerPool(tell_skipped=tell_skipped), shadow=shadow)


def _price_ratio(prices: PriceBook, strong: ModelTarget, weak: ModelTarget, now_us: int) -> float:
    """What an ordinary strong answer costs, in samples of the weak model; where a price is missing, a usual ratio."""
    strong_price, weak_price = prices.in_effect(strong.name, now_us), prices.in_effect(weak.name, now_us)
    if strong_price is None or weak_price is None:
        return USUAL_PRICE_RATIO
    return max(strong_price.cost(STRONG_ANSWER) / max(weak_price.cost(SAMPLE), 1), 1.0)


def _tier_booked(model: ModelSettings) -> Tier:
    """The tier that an explicit model is booked under: reasoning where it is asked to think, else fast."""
    return Tier.REASONING if model.max_thinking_tokens or model.effort not in (None, "none", "minimal") else Tier.FAST


def with_fallbacks(settings: Settings, model: ModelSettings, environ: Mapping[str, str]) -> tuple[ModelTarget, ...]:
    """Return a model's target, then those of its fallbacks."""
    target = complete_target(model.target(environ))
    return (
        target,
        *(
            complete_target(_fallback(settings, name, target, environ))
            for name in settings.fallbacks.get(target.name, ())
        ),
    )


def sampling_targets(settings: Settings, environ: Mapping[str, str]) -> tuple[ModelTarget, ...]:
    """Return the targets of the parallel tier."""
    parallel = settings.tiers.parallel
    return tuple(complete_target(parallel.target_of(name, environ)) for name in parallel.models)


def explicit_targets(settings: Settings, environ: Mapping[str, str]) -> dict[str, tuple[ModelTarget, ...]]:
    """Return the targets of the explicitly configured models, by the name clients ask for."""
    return {name: with_fallbacks(settings, model, environ) for name, model in settings.models.items()}


def judge_targets(judge: ModelSettings | None, environ: Mapping[str, str]) -> tuple[ModelTarget, ...]:
    """Return who may decide between two answers: one model, or nobody."""
    return () if judge is None else (complete_target(judge.target(environ)),)


def all_targets(settings: Settings, environ: Mapping[str, str]) -> list[ModelTarget]:
    """Return each distinct model that can be called, once."""
    targets = [
        *with_fallbacks(settings, settings.tiers.fast, environ),
        *with_fallbacks(settings, settings.tiers.reasoning, environ),
        *sampling_targets(settings, environ),
        *(target for targets in explicit_targets(settings, environ).values() for target in targets),
        *judge_targets(settings.learning.judge, environ),
        *judge_targets(settings.tiers.parallel.judge, environ),
    ]
    return list({(target.name, target.api_base): target for target in targets}.values())


def complete_target(target: ModelTarget) -> ModelTarget:
    """Complete a target with what is publicly known of its model; the configuration beats it."""
    if target.provider == "embedded":
        thinking = target.max_thinking_tokens if target.max_thinking_tokens is not None else EMBEDDED_THINKING_TOKENS
        length = target.context_length or CONTEXT_TOKENS
        return replace(target, max_thinking_tokens=thinking, context_length=length, output_length=length)
    facts = modelmap.facts(target.name)
    if facts is None:
        return target
    able = {
        "images": facts.supports_vision,
        "tools": facts.supports_function_calling,
        "schema": facts.supports_response_schema,
        "thinking": facts.supports_reasoning,
    }
    capabilities = frozenset(name for name, is_able in able.items() if is_able is not False)
    return replace(
        target,
        context_length=target.context_length or facts.max_input_tokens,
        output_length=facts.max_output_tokens,
        capabilities=target.capabilities if target.capabilities is not None else capabilities,
    )


def _fallback(settings: Settings, name: str, instead_of: ModelTarget, environ: Mapping[str, str]) -> ModelTarget:
    """A fallback configured elsewhere brings its own settings; any other is called plainly."""
    configured = [settings.tiers.fast, settings.tiers.reasoning, *settings.models.values()]
    for model in configured:
        if model.model == name:
            return model.target(environ)
    base = instead_of.api_base if name.partition("/")[0] == instead_of.provider else None
    must_load = is_on_this_machine(name, base) and not is_on_this_machine(instead_of.name, instead_of.api_base)
    calls = CallSettings(
        api_base=base,
        timeout_s=instead_of.timeout_s,
        connect_timeout_s=instead_of.connect_timeout_s,
        first_byte_timeout_s=instead_of.first_byte_timeout_s + (LOADING_S if must_load else 0.0),
        idle_timeout_s=instead_of.idle_timeout_s,
    )
    target = calls.target_of(name, environ)
    if name.partition("/")[0] != instead_of.provider or instead_of.api_key is None:
        return target
    return replace(target, api_key=instead_of.api_key)
