"""What `tierwise init` may propose: models of the providers whose key is here, and of servers that answer here."""

import json
import urllib.error
from collections.abc import Mapping
from dataclasses import dataclass

from router.decision.policy import Policy
from router.ledger import pricelist
from router.providers.catalog import FAMILIES, answers_chat
from router.providers.openai.backends import BACKENDS
from router.providers.proxies import open_directly
from router.providers.wiring import TierWiring, format_tables, key_line, toml_text
from router.settings import DEFAULT_MODEL

PROBE_TIMEOUT_S = 1.0
OLLAMA = "http://127.0.0.1:11434"
AZURE, AZURE_KEY = "azure", "AZURE_API_KEY"
# Families whose own server is on the machine of who runs it, as people call them.
SERVERS = {"ollama": "Ollama", "hosted_vllm": "vLLM", "lm_studio": "LM Studio", "llamacpp": "llama.cpp"}
# Of their models, by the architecture that Ollama names: these make vectors.
VECTOR_ARCHITECTURES = frozenset({"bert", "nomic-bert", "nomic-bert-moe"})


@dataclass(frozen=True, slots=True)
class Proposal:
    """Which models a configuration names, what their calls need, and why these."""

    because: str
    wiring: TierWiring


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server on this machine that answers, and its models for conversations: the smallest first, where it tells."""

    family: str
    models: tuple[str, ...]

    @property
    def says(self) -> str:
        """What it is, for a list to choose from."""
        count = len(self.models)
        return f"{SERVERS[self.family]} on this machine ({count} model{'' if count == 1 else 's'})"


def propose_hosted(name: str, environ: Mapping[str, str]) -> Proposal:
    """Propose the usual models of a family that has some, with the variable that holds its key."""
    family = FAMILIES[name]
    variable = family.key_variable(environ)
    because = f"{variable} is set" if variable else f"set {family.key_variables[0]} before the start"
    return Proposal(because, TierWiring.of_family(name, environ))


def propose_server(server: LocalServer) -> Proposal | None:
    """Propose the first and the last model of a local server; None where it has none for conversations."""
    if not server.models:
        return None
    because = f"{SERVERS[server.family]} answers on this machine"
    fast, reasoning = server.models[0], server.models[-1]
    return propose_models(because, server.family, fast, reasoning, BACKENDS[server.family].address)


def propose_models(
    because: str, family: str, fast: str, reasoning: str, api_base: str | None = None, variable: str | None = None
) -> Proposal:
    """Propose two models of a family; `variable` holds their key, where they need one."""
    lines = [f"api_base = {toml_text(api_base)}"] if api_base else []
    if variable:
        lines.append(key_line(variable))
    return Proposal(because, TierWiring(with_family(family, fast), with_family(family, reasoning), tuple(lines)))


def propose_embedded(because: str) -> Proposal:
    """Propose the model that needs nothing, for all tiers."""
    return Proposal(because, TierWiring(DEFAULT_MODEL, DEFAULT_MODEL))


def find_servers() -> list[LocalServer]:
    """Ask the usual addresses of this machine for servers and their models."""
    found = []
    for family in SERVERS:
        models = ollama_models() if family == "ollama" else _list_models(f"{BACKENDS[family].address}/models")
        if models is not None:
            chat = tuple(name for name in models if answers_chat(f"{family}/{name}"))
            found.append(LocalServer(family, chat))
    return found


def models_at(base: str) -> list[str]:
    """Ask a server that speaks OpenAI's dialect for its models for conversations; none where it does not answer."""
    names = _list_models(f"{base.rstrip('/')}/models") or []
    return [name for name in names if answers_chat(f"hosted_vllm/{name}")]


def ollama_models() -> list[str] | None:
    """Ask Ollama for its models for conversations, the smallest first; None where it does not answer."""
    reply = _ask(f"{OLLAMA}/api/tags")
    return None if reply is None else models_of_tags(reply)


def models_of_tags(reply: Mapping[str, object]) -> list[str]:
    """Read Ollama's list: names by size, without models that make vectors."""
    listed = reply.get("models")
    models = (
        [each for each in listed if isinstance(each, dict) and each.get("name")] if isinstance(listed, list) else []
    )
    chat = [each for each in models if VECTOR_ARCHITECTURES.isdisjoint(_architectures(each))]
    return [str(each["name"]) for each in sorted(chat, key=lambda each: int(each.get("size") or 0))]


def _architectures(model: Mapping[str, object]) -> set[str]:
    details = model.get("details")
    if not isinstance(details, dict):
        return set()
    return {str(name) for name in (details.get("family"), *(details.get("families") or ())) if name}


def _list_models(address: str) -> list[str] | None:
    reply = _ask(address)
    listed = reply.get("data") if reply is not None else None
    if not isinstance(listed, list):
        return None
    return [str(each["id"]) for each in listed if isinstance(each, dict) and each.get("id")]


def _ask(address: str) -> dict[str, object] | None:
    try:
        with open_directly(address, PROBE_TIMEOUT_S) as response:
            reply = json.load(response)
    except (urllib.error.URLError, OSError, ValueError):
        return None
    return reply if isinstance(reply, dict) else None


def usual_key_variable(family: str, api_base: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the variable that holds the key of a family's own server; None for another's, and where none is needed."""
    if family == AZURE:
        return AZURE_KEY
    known = FAMILIES[family]
    if api_base is not None:
        return None
    needed = None if family in SERVERS or not known.key_variables else known.key_variables[0]
    return known.key_variable(environ) or needed


def with_family(family: str, model: str) -> str:
    """Write a model's name with its family in front, once."""
    return model if model.startswith(f"{family}/") else f"{family}/{model}"


def format_config(proposal: Proposal) -> str:
    """Write the configuration file's text."""
    dials = Policy(version=0)
    tables = proposal.wiring.tables() | {
        "policy": (
            f"parallel_threshold = {dials.parallel_threshold:.2f}",
            f"reasoning_threshold = {dials.reasoning_threshold:.2f}",
            f"max_deep_share = {dials.max_deep_share:.2f}",
        ),
    }
    because = " ".join(proposal.because.split())
    head = f"# Written by `tierwise init`: {because}. All keys: docs/reference/settings.md"
    return f"{head}\n\n{format_tables(tables)}\n{_places_for_prices(proposal.wiring)}"


def _places_for_prices(wiring: TierWiring) -> str:
    """Leave a place for the price of each model that nobody knows one of: its calls are booked without an amount."""
    names = dict.fromkeys((wiring.fast, wiring.reasoning))
    unpriced = [name for name in names if pricelist.quote(name, {}) is None]
    if not unpriced:
        return ""
    tables = (f"# [prices.{toml_text(name)}]\n# input = 0\n# output = 0\n" for name in unpriced)
    return "\n# No price is known of these; put yours in, in USD per million tokens:\n" + "".join(tables)
