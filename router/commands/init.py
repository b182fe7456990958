"""`tierwise init`: write a working configuration for the provider whose key, or whose server, is here."""

import json
import os
import urllib.error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from router.decision.policy import Policy

OLLAMA = "http://127.0.0.1:11434"
PROBE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """Which models a configuration names, and what their calls need."""

    because: str
    fast: str
    reasoning: str
    settings: tuple[str, ...] = ()
    fast_settings: tuple[str, ...] = ()
    reasoning_settings: tuple[str, ...] = ()


def init(
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("tierwise.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a working configuration for the provider whose key is in the environment, or for a local Ollama."""
    if out.exists() and not force:
        raise typer.BadParameter(f"{out} exists; --force replaces it")
    proposal = propose_hosted(os.environ) or local(ollama_models())
    if proposal is None:
        proposal = Proposal("no provider key and no Ollama here: the embedded model", *(("embedded/smollm2",) * 2))
    try:
        out.write_text(format_config(proposal))
    except OSError as error:
        raise typer.BadParameter(f"{out} cannot be written: {error.strerror}") from None
    print(f"wrote {out} ({proposal.because}); `tierwise doctor` checks it, `tierwise serve` runs it")


def propose_hosted(environ: Mapping[str, str]) -> Proposal | None:
    """Propose hosted models for the first provider whose key is set."""
    from router.providers.catalog import FAMILIES

    for family in FAMILIES.values():
        models, variable = family.first_models, family.key_variable(environ)
        if models is not None and variable is not None:
            key = (f'api_key_env = "{variable}"',)
            tiers = (models.fast, models.reasoning, key, models.fast_settings, models.reasoning_settings)
            return Proposal(f"{variable} is set", *tiers)
    return None


def local(models: Sequence[tuple[str, int]]) -> Proposal | None:
    """Propose the smallest and the largest model of a local Ollama, as (name, size in bytes)."""
    if not models:
        return None
    ordered = sorted(models, key=lambda model: model[1])
    base = (f'api_base = "{OLLAMA}/v1"',)
    return Proposal("a local Ollama answers", f"ollama/{ordered[0][0]}", f"ollama/{ordered[-1][0]}", base)


def ollama_models() -> list[tuple[str, int]]:
    """Ask a local Ollama for its models; none where it does not answer."""
    from router.providers.proxies import open_directly

    try:
        with open_directly(f"{OLLAMA}/api/tags", PROBE_TIMEOUT_S) as response:
            reply = json.load(response)
    except (urllib.error.URLError, OSError, ValueError):
        return []
    return [(model["name"], int(model.get("size", 0))) for model in reply.get("models", [])]


def format_config(proposal: Proposal) -> str:
    """Write the configuration file's text."""
    dials = Policy(version=0)
    tables = {
        "tiers.fast": (f'model = "{proposal.fast}"', *proposal.settings, *proposal.fast_settings),
        "tiers.reasoning": (f'model = "{proposal.reasoning}"', *proposal.settings, *proposal.reasoning_settings),
        "tiers.parallel": (
            f'models = ["{proposal.fast}"]',
            *proposal.settings,
            "max_samples = 8",
            "confidence = 0.95",
            'escalate_to = "reasoning"',
        ),
        "policy": (
            f"parallel_threshold = {dials.parallel_threshold:.2f}",
            f"reasoning_threshold = {dials.reasoning_threshold:.2f}",
            f"max_deep_share = {dials.max_deep_share:.2f}",
        ),
    }
    body = "\n\n".join(f"[{name}]\n" + "\n".join(lines) for name, lines in tables.items())
    return f"# Written by `tierwise init`: {proposal.because}. All keys: docs/reference/settings.md\n\n{body}\n"
