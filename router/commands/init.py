"""`tierwise init`: write a working configuration, for what is found here or for what is asked or said."""

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from router.commands.proposals import Proposal
    from router.settings import Settings


def init(
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("tierwise.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file without asking.")] = False,
    provider: Annotated[
        str | None,
        typer.Option(help="Provider: openai, azure, openrouter, ollama, hosted_vllm, ...; unset: detected."),
    ] = None,
    fast: Annotated[str | None, typer.Option(help="Model of the fast tier; for azure, a deployment.")] = None,
    reasoning: Annotated[str | None, typer.Option(help="Model of the reasoning tier; unset: the same as fast.")] = None,
    api_base: Annotated[str | None, typer.Option("--api-base", help="Address of the provider's server.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option("--api-key-env", help="Environment variable that holds the provider's key.")
    ] = None,
) -> None:
    """Write a configuration: on a terminal it asks which provider; otherwise it takes the first one that it finds.

    Options answer the questions beforehand, for scripts. Keys are not written, only the variables that hold them.
    """
    from router.commands.models import describe_uninstalled

    asks = sys.stdin.isatty()
    if out.exists() and not force and not (asks and typer.confirm(f"{out} exists. Replace it?")):
        raise typer.BadParameter(f"{out} exists and was left as it is; --force replaces it")
    if provider is not None or fast is not None or api_base is not None:
        proposal = proposal_of_options(provider, fast, reasoning, api_base, api_key_env)
    elif asks:
        from router.commands.choosing import ask_for_proposal

        proposal = ask_for_proposal()
    else:
        proposal = find_proposal()
    written = write(out, proposal)
    print(f"wrote {out} ({proposal.because}); `tierwise doctor` checks it, `tierwise serve` runs it")
    for says in describe_uninstalled(written, out):
        print(f"before the start: {says}")


def find_proposal() -> "Proposal":
    """Take the first provider whose key is set, else the first local server that has a model for conversations."""
    from router.commands import proposals
    from router.providers.wiring import families_with_key

    if names := families_with_key(os.environ):
        return proposals.propose_hosted(names[0], os.environ)
    for server in proposals.find_servers():
        if (proposal := proposals.propose_server(server)) is not None:
            return proposal
    return proposals.propose_embedded("no provider's key and no server of models here: the embedded model")


def proposal_of_options(
    provider: str | None, fast: str | None, reasoning: str | None, api_base: str | None, variable: str | None
) -> "Proposal":
    """Take what the options say; raises BadParameter for what they leave open."""
    from router.commands import proposals
    from router.providers.catalog import FAMILIES

    family = provider or (fast.partition("/")[0] if fast and "/" in fast else "openai")
    if family == "embedded":
        return proposals.propose_embedded("as was asked")
    if family not in FAMILIES:
        raise typer.BadParameter(_describe_unknown(family), param_hint="--provider")
    if fast is None and api_base is None and (found := _usual_models(family)) is not None:
        return found
    if fast is None:
        raise typer.BadParameter(f"say which model of {family} is the fast one", param_hint="--fast")
    if family == proposals.AZURE and api_base is None:
        raise typer.BadParameter(
            "azure needs the address of yours: https://NAME.openai.azure.com", param_hint="--api-base"
        )
    usual = proposals.usual_key_variable(family, api_base, os.environ)
    at = api_base or (FAMILIES[family].address if family in proposals.SERVERS else None)
    return proposals.propose_models("as was asked", family, fast, reasoning or fast, at, variable or usual)


def _usual_models(family: str) -> "Proposal | None":
    """The models that are usually proposed of a family, or those that its server on this machine has."""
    from router.commands import proposals
    from router.providers.catalog import FAMILIES

    if FAMILIES[family].first_models is not None:
        return proposals.propose_hosted(family, os.environ)
    server = next((one for one in proposals.find_servers() if one.family == family), None)
    return None if server is None else proposals.propose_server(server)


def _describe_unknown(family: str) -> str:
    from router.mistakes.names import closest
    from router.providers.catalog import FAMILIES

    meant = closest(family, FAMILIES)
    question = f"did you mean {meant}?" if meant else f"there are {', '.join(FAMILIES)}"
    return f"no provider goes by the name {family}; {question}"


def write(out: Path, proposal: "Proposal") -> "Settings":
    """Write the file, once what it says was read as a start would read it, and return what it says.

    Raises BadParameter or WrongSetting.
    """
    from router import settings
    from router.commands.proposals import format_config

    text = format_config(proposal)
    with tempfile.TemporaryDirectory(prefix="tierwise-init-") as directory:
        tried = Path(directory) / out.name
        tried.write_text(text, encoding="utf-8")
        written = settings.load(tried)
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{out} cannot be written: {error.strerror}") from None
    return written
