"""`tierwise policy`: versions of the routing policy, from a proposal to what is in force."""

import getpass
import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from router.commands.output import ConfigOption, Format, FormatOption, format_time, show
from router.decision.policy import DIALS, SEGMENT_DIALS, DialValue

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from router.policies.canary_lifecycle import Canary
    from router.policies.dials import Change
    from router.policies.lifecycle import Actor, Version
    from router.settings import Settings

app = typer.Typer(help="Versions of the routing policy.", no_args_is_help=True)

SET_HELP = (
    "DIAL=VALUE changes a dial of the version in force, DIAL=none unsets it; repeat for more. Dials: "
    + ", ".join(f"{dial.name} ({dial.allowed})" for dial in DIALS.values())
    + f". For a segment: segments.NAME.DIAL, with {', '.join(SEGMENT_DIALS)}."
)
SetOption = Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)]
NoteOption = Annotated[str, typer.Option(help="Reason, for the log.")]
ReasonOption = Annotated[
    str | None, typer.Option("--note", help="Reason, for the log; required, and asked for on a terminal.")
]
AuthorOption = Annotated[str | None, typer.Option(help="Author, for the log; default: the system user.")]
LOG_COLUMNS = ("at", "act", "version", "previous", "author", "note", "changes")


@app.command("show")
def show_version(
    version: Annotated[int | None, typer.Argument(help="Version; default: the one in force.")] = None,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show the dials of a version, who made it and why, and what is on trial."""
    from router.commands.opening import open_books
    from router.policies import dials
    from router.policies.canary_lifecycle import describe, running
    from router.policies.lifecycle import version_of

    with open_books(config) as (_, engine):
        asked = version_of(engine, version)
        tried = running(engine)
    rows = [
        {"dial": name, "value": dials.format_dial(value), "before": _before(asked, name)}
        for name, value in _dials_to_show(asked).items()
    ]
    match form:
        case Format.JSON:
            print(json.dumps(_facts(asked, tried), indent=2))
        case Format.CSV:
            show(rows, ("dial", "value", "before"), form)
        case Format.TABLE:
            made = format_time(asked.created_at_us) if asked.created_at_us else "always"
            title = f"version {asked.policy.version}, {asked.state}, by {asked.author}, {made}"
            show(rows, ("dial", "value", "before"), form, f"{title}: {asked.note}" if asked.note else title)
            if tried is not None:
                print(f"On trial: {describe(tried)}, since {format_time(tried.started_at_us)}")


@app.command()
def propose(
    settings: SetOption = None,
    like: Annotated[
        int | None, typer.Option(help="Take over the changes that this version made to its parent.")
    ] = None,
    note: NoteOption = "",
    author: AuthorOption = None,
    config: ConfigOption = None,
) -> None:
    """Write a version on top of the one in force; it decides nothing until it is tried or activated."""
    from router.commands.opening import open_books
    from router.policies import dials, lifecycle

    changes = dials.read(settings or ())
    if not changes and like is None:
        raise typer.BadParameter("say what changes: --set DIAL=VALUE, or --like VERSION")
    with open_books(config) as (configured, engine):
        begin(configured, engine)
        if like is not None:
            taken = lifecycle.version_of(engine, like).changes
            changes = {**{name: after for name, (_, after) in taken.items()}, **changes}
        made = lifecycle.propose(engine, changes, configured.tiers, actor(author, note))
        version = lifecycle.version_of(engine, made)
    print(f"version {made}: {describe_changes(version.changes)}")
    print(f"tierwise policy activate {made} --note WHY puts it in force")
    print(f"tierwise policy canary {made} tries it on a share of conversations first")


@app.command()
def validate(
    version: Annotated[int, typer.Argument(help="The version to check.")],
    note: NoteOption = "",
    author: AuthorOption = None,
    config: ConfigOption = None,
) -> None:
    """Check a version against today's configuration; needed if the tiers have changed since it was written."""
    from router.commands.opening import open_books
    from router.policies import lifecycle

    with open_books(config) as (configured, engine):
        lifecycle.validate(engine, version, configured.tiers, actor(author, note))
    print(f"version {version} fits the configuration; tierwise policy activate {version} --note WHY puts it in force")


@app.command()
def activate(
    version: Annotated[int, typer.Argument(help="The version to put in force.")],
    note: ReasonOption = None,
    undecided: Annotated[
        bool,
        typer.Option("--undecided", help="Activate even though it is too early to tell whether its canary does harm."),
    ] = False,
    author: AuthorOption = None,
    config: ConfigOption = None,
) -> None:
    """Put a version in force and end its trial, if there is one; running servers follow within two seconds."""
    from router.commands.opening import open_books
    from router.policies import canary_lifecycle, lifecycle

    why = reason(note)
    with open_books(config) as (configured, engine):
        trial = canary_lifecycle.running(engine)
        if trial is not None and trial.version == version and trial.is_undecided and not undecided:
            _require_certain(version)
        lifecycle.activate(engine, version, configured.tiers, actor(author, why))
    print(f"version {version} is in force")


@app.command()
def rollback(
    version: Annotated[int | None, typer.Argument(help="The version to undo; default: the one in force.")] = None,
    note: ReasonOption = None,
    author: AuthorOption = None,
    config: ConfigOption = None,
) -> None:
    """Undo the version in force: what was in force before it is so again, and a trial on top of it ends."""
    from router.commands.opening import open_books
    from router.policies import lifecycle

    why = reason(note)
    with open_books(config) as (_, engine):
        back = lifecycle.roll_back(engine, actor(author, why), undone=version)
    print(f"version {back} is in force again")


@app.command()
def log(
    limit: Annotated[int, typer.Option(min=1, help="Largest number of acts to list, the newest first.")] = 50,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show who did what to which version, when and why; the author `tierwise` is the guard of canaries."""
    from router.commands.opening import open_books
    from router.policies.lifecycle import history

    with open_books(config) as (_, engine):
        entries = history(engine, limit)
    rows = [
        {
            "at": format_time(entry.created_at_us),
            "act": entry.act.value,
            "version": entry.version,
            "previous": entry.previous,
            "author": entry.author,
            "note": entry.note,
            "changes": describe_changes(entry.changes),
        }
        for entry in entries
    ]
    show(rows, LOG_COLUMNS, form)


def reason(note: str | None) -> str:
    """Return why something is put in force, asked for on a terminal; raises WrongPolicy where nobody says it."""
    from router.policies.dials import WrongPolicy

    if note is None and sys.stdin.isatty():
        note = typer.prompt("Why")
    if note is None or not note.strip():
        raise WrongPolicy('say why with --note "...": the log keeps it for those who come after you')
    return note.strip()


def _require_certain(version: int) -> None:
    """Ask whether a version is activated whose canary is not decided; raises WrongPolicy where it is not."""
    from router.policies.dials import WrongPolicy

    early = f"it is too early to tell whether version {version} harms"
    if not (sys.stdin.isatty() and typer.confirm(f"{early}; activate it nevertheless?")):
        raise WrongPolicy(f"{early}: wait for its guards (tierwise policy canary), or say --undecided")


def begin(configured: "Settings", engine: "Engine") -> None:
    """Take the file's dials where nothing was ever in force, as the first start of a server does."""
    from router.clock import SystemClock
    from router.policies.versions import import_dials, in_force

    if in_force(engine).version == 0:
        import_dials(engine, configured.policy.model_dump(), SystemClock().now_us())


def actor(author: str | None, note: str) -> "Actor":
    """Say who acts, now."""
    from router.clock import SystemClock
    from router.policies.lifecycle import Actor

    return Actor(_user() if author is None else author, note, SystemClock().now_us())


def describe_changes(changes: "Mapping[str, Change]") -> str:
    """Write changes as `dial before -> after`."""
    from router.policies.dials import format_dial

    return ", ".join(f"{name} {format_dial(old)} -> {format_dial(new)}" for name, (old, new) in changes.items())


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user need not have a name
        return f"uid {os.getuid()}"


def _dials_to_show(version: "Version") -> dict[str, DialValue]:
    """The dials to show: those that there are, and those of segments that the version took away."""
    from router.policies.dials import dials_by_name

    return {name: after for name, (_, after) in version.changes.items()} | dials_by_name(version.policy)


def _before(version: "Version", name: str) -> str | None:
    from router.policies.dials import format_dial

    return format_dial(version.changes[name][0]) if name in version.changes else None


def _facts(version: "Version", tried: "Canary | None") -> dict[str, object]:
    from router.policies.dials import dials_of

    trial = None
    if tried is not None:
        trial = {
            "version": tried.version,
            "control": tried.control,
            "mode": tried.mode.value,
            "share": tried.share,
            "state": tried.state.value,
            "started_at": format_time(tried.started_at_us),
            "verdict": tried.verdict,
        }
    return {
        "version": version.policy.version,
        "state": version.state.value,
        "parent": version.parent,
        "author": version.author,
        "note": version.note,
        "created_at": format_time(version.created_at_us) if version.created_at_us else None,
        "dials": dials_of(version.policy),
        "validated_at": format_time(version.validated_at_us) if version.validated_at_us else None,
        "changes": {name: {"before": old, "after": new} for name, (old, new) in version.changes.items()},
        "trial": trial,
    }
