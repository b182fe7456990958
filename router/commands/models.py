"""What can be said of the configured models without asking them: whose key is missing, and which is only a toy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from router import settings
from router.lineup import all_targets
from router.mistakes.extras import how_to_get, is_installed
from router.providers import catalog
from router.providers.proxies import is_on_this_machine
from router.settings import CallSettings, ModelSettings, Settings
from router.types import Tier


@dataclass(frozen=True, slots=True)
class ConfiguredModel:
    """A model as the configuration names it, and the keys that lead to its table."""

    name: str
    calls: CallSettings
    keys: tuple[str, ...]

    def missing_variables(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Return the variables of which one should hold its key; none where it has a key, or needs none."""
        if self.calls.api_key is not None:
            return ()
        if self.calls.api_key_env is not None:
            return () if environ.get(self.calls.api_key_env, "").strip() else (self.calls.api_key_env,)
        family = catalog.FAMILIES.get(self.name.partition("/")[0])
        if family is None or self.calls.api_base is not None or is_on_this_machine(self.name, family.address):
            return ()
        return () if family.key_variable(environ) else family.key_variables

    def describe_key(self, environ: Mapping[str, str]) -> str:
        """Say where its key comes from, and never what it is."""
        if missing := self.missing_variables(environ):
            return f"no key: set the variable {join_names(missing)}"
        if self.calls.api_key is not None:
            return "with the key of the configuration"
        family = catalog.FAMILIES.get(self.name.partition("/")[0])
        usual = family.key_variable(environ) if family and self.calls.api_base is None else None
        variable = self.calls.api_key_env or usual
        return f"with the key in {variable}" if variable else "without a key"


def join_names(names: Sequence[str]) -> str:
    """Write names as a choice: A, B or C."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def models_of(configured: Settings) -> list[ConfiguredModel]:
    """List the models of the tiers, those under names of their own, and the judges, in this order."""
    tiers = configured.tiers
    found = [_model_at(tiers.fast, "tiers", "fast"), _model_at(tiers.reasoning, "tiers", "reasoning")]
    found += [ConfiguredModel(name, tiers.parallel, ("tiers", "parallel", "models")) for name in tiers.parallel.models]
    found += [_model_at(model, "models", name) for name, model in configured.models.items()]
    judges = {("learning", "judge"): configured.learning.judge, ("tiers", "parallel", "judge"): tiers.parallel.judge}
    return found + [_model_at(judge, *keys) for keys, judge in judges.items() if judge is not None]


def _model_at(model: ModelSettings, *keys: str) -> ConfiguredModel:
    return ConfiguredModel(model.model, model, (*keys, "model"))


def describe_missing_keys(configured: Settings, path: Path | None, environ: Mapping[str, str]) -> list[str]:
    """Say which models have no key, where the configuration first names them, and which variable would hold it."""
    found: dict[tuple[str, tuple[str, ...]], str] = {}
    for model in models_of(configured):
        variables = model.missing_variables(environ)
        if variables and (model.name, variables) not in found:
            place = settings.place_of(model.keys, path)
            says = f"{place}: {model.name} has no key; set the variable {join_names(variables)}"
            found[model.name, variables] = says
    return list(found.values())


def describe_uninstalled(configured: Settings, path: Path | None) -> list[str]:
    """Say which models cannot be called with what is installed, where the configuration first names them."""
    keys = {model.name: model.keys for model in reversed(models_of(configured))}
    found = ((target.name, catalog.describe_uninstalled(target)) for target in all_targets(configured, {}))
    return [f"{settings.place_of(keys.get(name, ('fallbacks',)), path)}: {says}" for name, says in found if says]


def describe_limits(configured: Settings) -> list[str]:
    """Say what answers are worth less for: a toy that has to think, and votes without computer algebra."""
    return list(filter(None, (describe_toys(configured), describe_votes())))


def describe_votes() -> str | None:
    """Say how votes compare answers without the extra that computes; None where it is installed."""
    if is_installed("parallel"):
        return None
    return (
        "votes of the parallel tier compare mathematical answers as they are written, and check no schemas:"
        f" {how_to_get('parallel')} makes them compute"
    )


def describe_toys(configured: Settings) -> str | None:
    """Say which deep tiers the embedded model answers for; None where none."""
    tiers = configured.tiers
    sampled = {Tier.REASONING: (tiers.reasoning.model,), Tier.PARALLEL: tiers.parallel.models}
    toys = [tier for tier, models in sampled.items() if any(name.startswith("embedded/") for name in models)]
    if not toys:
        return None
    return (
        f"{' and '.join(toys)} answer with the embedded model, which proves the path and is often wrong;"
        " `tierwise init` writes a configuration for real models"
    )
