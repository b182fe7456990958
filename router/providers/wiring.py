"""Which models the tiers get from a provider's key alone: what `init` writes, and what a start without a file takes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from router.mistakes.extras import is_installed
from router.providers.catalog import FAMILIES
from router.providers.openai.backends import speaks_openai

# A variable of ours that names a model of a tier, or writes a whole table: the environment is the configuration then.
_NAMING = ("__MODEL", "__MODELS", "TIERS", "TIERS__FAST", "TIERS__REASONING", "TIERS__PARALLEL")
_OURS = "TIERWISE_TIERS"


@dataclass(frozen=True, slots=True)
class TierWiring:
    """The models of the tiers and the lines of TOML that their calls need: of all, of fast, of reasoning."""

    fast: str
    reasoning: str
    settings: tuple[str, ...] = ()
    fast_settings: tuple[str, ...] = ()
    reasoning_settings: tuple[str, ...] = ()

    @classmethod
    def of_family(cls, name: str, environ: Mapping[str, str]) -> Self:
        """Take the usual models of a family that has some, with the variable of its key and, where set, its address."""
        family = FAMILIES[name]
        models = family.first_models
        assert models is not None
        lines = [key_line(family.key_variable(environ) or family.key_variables[0])]
        if (base := family.own_address(environ)) is not None:
            lines.insert(0, f"api_base = {toml_text(base)}")
        return cls(models.fast, models.reasoning, tuple(lines), models.fast_settings, models.reasoning_settings)

    def tables(self) -> dict[str, tuple[str, ...]]:
        """The tables of the tiers, by name, as lines of TOML."""
        return {
            "tiers.fast": (f"model = {toml_text(self.fast)}", *self.settings, *self.fast_settings),
            "tiers.reasoning": (f"model = {toml_text(self.reasoning)}", *self.settings, *self.reasoning_settings),
            "tiers.parallel": (
                f"models = [{toml_text(self.fast)}]",
                *self.settings,
                "max_samples = 8",
                "confidence = 0.95",
                'escalate_to = "reasoning"',
            ),
        }


def wire_by_key(environ: Mapping[str, str]) -> tuple[str, TierWiring] | None:
    """Return the variable of the first provider's key that is set, and its models; None where there is none.

    None also where variables of ours name models themselves.
    """
    if any(name.upper().startswith(_OURS) and name.upper().endswith(_NAMING) for name in environ):
        return None
    names = families_with_key(environ)
    if not names:
        return None
    variable = FAMILIES[names[0]].key_variable(environ)
    assert variable is not None
    return variable, TierWiring.of_family(names[0], environ)


def families_with_key(environ: Mapping[str, str]) -> list[str]:
    """Name the families whose key is set and whose models may be proposed, in the order of the catalogue.

    Those that can be called with what is installed come first.
    """
    names = [name for name, family in FAMILIES.items() if family.first_models and family.key_variable(environ)]
    return sorted(names, key=lambda name: not (speaks_openai(name) or is_installed("litellm")))


def format_tables(tables: Mapping[str, tuple[str, ...]]) -> str:
    """Write tables as TOML."""
    return "\n\n".join(f"[{name}]\n" + "\n".join(lines) for name, lines in tables.items())


def toml_text(text: str) -> str:
    """Write a text as TOML does."""
    return json.dumps(text, ensure_ascii=False)


def key_line(variable: str) -> str:
    """The line that names the variable of a key."""
    return f"api_key_env = {toml_text(variable)}"
