"""`tierwise policy canary`: try a version on a share of the conversations, stop it, see how trials went."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from router.commands.output import ConfigOption, Format, FormatOption, format_time, show
from router.commands.output import share as read_option
from router.commands.policy import AuthorOption, NoteOption, actor

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from router.policies.canary_lifecycle import Canary
    from router.settings import Settings

SHARE = 0.05
COLUMNS = (
    "started",
    "version",
    "control",
    "mode",
    "share",
    "state",
    "on_success",
    "ended",
    "verdict",
    "author",
    "note",
)


def canary(
    version: Annotated[int | None, typer.Argument(help="The version to try; without one, trials are listed.")] = None,
    share: Annotated[
        float | None,
        typer.Option(
            parser=read_option,
            metavar="SHARE",
            help="Share of conversations (5 % or 0.05); default: 5 %, or all of them for a shadow.",
        ),
    ] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="Decide and record, but affect nothing.")] = False,
    on_success: Annotated[
        str, typer.Option(help="What to do when it passes: wait for a person, or activate.")
    ] = "wait",
    stop: Annotated[
        bool, typer.Option("--stop", help="End the trial; only the version in force decides from then on.")
    ] = False,
    note: NoteOption = "",
    author: AuthorOption = None,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Try a version on a share of conversations, or in the shadow of the one in force; by default, list trials."""
    from router.commands.opening import open_books
    from router.policies import canary_lifecycle

    if stop and version is not None:
        raise typer.BadParameter("--stop takes no version: there is one trial at a time")
    with open_books(config) as (configured, engine):
        if stop:
            print(f"stopped: {canary_lifecycle.describe(canary_lifecycle.stop(engine, actor(author, note)))}")
            return
        if version is None:
            show([_row(canary, engine, configured) for canary in canary_lifecycle.history(engine)], COLUMNS, form)
            return
        chosen = share if share is not None else 1.0 if shadow else SHARE
        mode = canary_lifecycle.Mode.SHADOW if shadow else canary_lifecycle.Mode.CANARY
        by = actor(author, note)
        begun = canary_lifecycle.start(engine, version, chosen, configured.tiers, by, mode=mode, on_success=on_success)
    print(f"{canary_lifecycle.describe(begun)}; tierwise policy canary --stop ends it")


def _row(canary: "Canary", engine: "Engine", configured: "Settings") -> dict[str, object]:
    return {
        "started": format_time(canary.started_at_us),
        "version": canary.version,
        "control": canary.control,
        "mode": canary.mode.value,
        "share": canary.share,
        "state": canary.state.value,
        "on_success": canary.on_success,
        "ended": format_time(canary.ended_at_us) if canary.ended_at_us is not None else None,
        "verdict": canary.verdict or _so_far(canary, engine, configured),
        "author": canary.author,
        "note": canary.note,
    }


def _so_far(canary: "Canary", engine: "Engine", configured: "Settings") -> str | None:
    """What the guards say of a canary that runs, by all that the books hold by now."""
    from router.canary.monitor import verdict_of
    from router.canary.verdicts import HarmLimits
    from router.policies.canary_lifecycle import CanaryState, Mode
    from router.policies.versions import PolicyBook

    book = PolicyBook(engine)
    if canary.state is not CanaryState.RUNNING or canary.mode is not Mode.CANARY or book.trial is None:
        return None
    limits = HarmLimits(**configured.canary.model_dump())
    return str(verdict_of(engine, canary, book.trial, book.active, time.time_ns() // 1_000, limits))
