"""Asking on the terminal whose models shall answer, and which of them."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import typer

from router.commands import proposals
from router.commands.proposals import AZURE, AZURE_KEY, LocalServer, Proposal
from router.providers.openai.backends import BACKENDS
from router.providers.wiring import families_with_key

ASKED = "as was asked"
Choice = tuple[str, Callable[[], Proposal]]


def ask_for_proposal() -> Proposal:
    """Ask whose models, then which: first what was found here, then what can be set up."""
    choices = _choices()
    typer.echo("Whose models should answer?")
    for number, (says, _) in enumerate(choices, 1):
        typer.echo(f"  {number}  {says}")
    while True:
        chosen: int = typer.prompt("Number", default=1, type=int)
        if 1 <= chosen <= len(choices):
            return choices[chosen - 1][1]()
        typer.echo(f"a number from 1 to {len(choices)}, please")


def _choices() -> list[Choice]:
    choices: list[Choice] = []
    for name in families_with_key(os.environ):
        found = proposals.propose_hosted(name, os.environ)
        choices.append((f"{name} ({found.because})", partial(_ask_for_models, name, found)))
    servers = [server for server in proposals.find_servers() if server.models]
    choices += [(server.says, partial(_ask_of_server, server)) for server in servers]
    openrouter = proposals.propose_hosted("openrouter", os.environ)
    return [
        *choices,
        ("Azure OpenAI", _ask_for_azure),
        ("OpenRouter", partial(_ask_for_models, "openrouter", openrouter)),
        ("vLLM, or another server that speaks OpenAI's dialect", _ask_for_server),
        ("the embedded model: needs nothing, proves the path, is often wrong", _choose_embedded),
    ]


def _ask_for_models(family: str, found: Proposal) -> Proposal:
    """Ask for the two models of a family; settings of the usual ones go with them only."""
    fast, reasoning = (_ask_for_model(tier, family, usual) for tier, usual in _usual(found))
    usual = found.wiring
    wiring = replace(
        usual,
        fast=fast,
        reasoning=reasoning,
        fast_settings=usual.fast_settings if fast == usual.fast else (),
        reasoning_settings=usual.reasoning_settings if reasoning == usual.reasoning else (),
    )
    return replace(found, wiring=wiring)


def _usual(found: Proposal) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("fast", found.wiring.fast), ("reasoning", found.wiring.reasoning)


def _ask_for_model(tier: str, family: str, usual: str) -> str:
    return proposals.with_family(family, typer.prompt(f"Model of the {tier} tier", default=usual).strip())


def _ask_of_server(server: LocalServer) -> Proposal:
    """Ask which models of a local server, having shown them."""
    typer.echo("It has: " + ", ".join(server.models))
    found = proposals.propose_server(server)
    assert found is not None
    return _ask_for_models(server.family, found)


def _ask_for_azure() -> Proposal:
    base = typer.prompt("Address (https://NAME.openai.azure.com)").strip()
    fast = typer.prompt("Deployment of the fast tier").strip()
    reasoning = typer.prompt("Deployment of the reasoning tier", default=fast).strip()
    variable = typer.prompt("Variable that holds the key", default=AZURE_KEY).strip()
    return proposals.propose_models(ASKED, AZURE, fast, reasoning, base, variable)


def _ask_for_server() -> Proposal:
    """Ask for a server by its address; what it serves is named as vLLM's models are, which any such server takes."""
    family = "hosted_vllm"
    base = typer.prompt("Address", default=BACKENDS[family].address).strip()
    listed = proposals.models_at(base)
    if listed:
        typer.echo("It has: " + ", ".join(listed))
    fast = typer.prompt("Model of the fast tier", default=listed[0] if listed else None).strip()
    reasoning = typer.prompt("Model of the reasoning tier", default=fast).strip()
    variable = typer.prompt(
        "Variable that holds its key (empty: it needs none)", default="", show_default=False
    ).strip()
    return proposals.propose_models(ASKED, family, fast, reasoning, base, variable or None)


def _choose_embedded() -> Proposal:
    return proposals.propose_embedded(ASKED)
