"""From settings to the models that tiers call, each with the fallbacks that stand in for it."""

from collections.abc import Mapping
from dataclasses import replace

from router import modelmap
from router.providers.base import ModelTarget
from router.settings import CallSettings, ModelSettings, Settings

EMBEDDED_CONTEXT_TOKENS = 2048
EMBEDDED_THINKING_TOKENS = 160


def with_fallbacks(settings: Settings, model: ModelSettings, environ: Mapping[str, str]) -> tuple[ModelTarget, ...]:
    """Return a model's target, then those of its fallbacks."""
    target = known(model.target(environ))
    return (
        target,
        *(known(_fallback(settings, name, target, environ)) for name in settings.fallbacks.get(target.name, ())),
    )


def sampled(settings: Settings, environ: Mapping[str, str]) -> tuple[ModelTarget, ...]:
    """Return the targets of the parallel tier."""
    parallel = settings.tiers.parallel
    return tuple(known(parallel.target_of(name, environ)) for name in parallel.models)


def explicit(settings: Settings, environ: Mapping[str, str]) -> dict[str, tuple[ModelTarget, ...]]:
    """Return the targets of the explicitly configured models, by the name clients ask for."""
    return {name: with_fallbacks(settings, model, environ) for name, model in settings.models.items()}


def judges(settings: Settings, environ: Mapping[str, str]) -> tuple[ModelTarget, ...]:
    """Return who may decide duels: one model, or nobody."""
    judge = settings.learning.judge
    return () if judge is None else (known(judge.target(environ)),)


def every(settings: Settings, environ: Mapping[str, str]) -> list[ModelTarget]:
    """Return each distinct model that can be called, once."""
    found = [
        *with_fallbacks(settings, settings.tiers.fast, environ),
        *with_fallbacks(settings, settings.tiers.reasoning, environ),
        *sampled(settings, environ),
        *(target for targets in explicit(settings, environ).values() for target in targets),
        *judges(settings, environ),
    ]
    return list({(target.name, target.api_base): target for target in found}.values())


def known(target: ModelTarget) -> ModelTarget:
    """Complete a target with what is publicly known of its model; the configuration beats it."""
    if target.provider == "embedded":
        thinking = target.max_thinking_tokens if target.max_thinking_tokens is not None else EMBEDDED_THINKING_TOKENS
        length = target.context_length or EMBEDDED_CONTEXT_TOKENS
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
    if name.partition("/")[0] == instead_of.provider:
        same = CallSettings(api_base=instead_of.api_base, timeout_s=instead_of.timeout_s)
        target = same.target_of(name, environ)
        return target if instead_of.api_key is None else replace(target, api_key=instead_of.api_key)
    return CallSettings(timeout_s=instead_of.timeout_s).target_of(name, environ)
