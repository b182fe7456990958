"""Thresholds: what other dials would do, as they are moved; and from there to a version, a trial, and into force."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from router.admin.page import Done, FormAction, JsonFeed, NotDone, Page, Visit
from router.admin.queries import canaries
from router.admin.queries import thresholds as queries
from router.admin.queries.history import versions
from router.admin.queries.margin_change import read_margin_change
from router.canary import verdicts
from router.decision.policy import DIALS, SEGMENT_DIALS, Dial, Policy
from router.policies import canary_lifecycle, dials, lifecycle
from router.policies.dials import WrongPolicy
from router.policies.lifecycle import Actor
from router.policies.shares import WrongShare, format_typed_share, read_share
from router.policies.versions import in_force
from router.reports.formatting import format_usd
from router.reports.window import Window
from router.tuning.comparison import ASSUMPTIONS
from router.tuning.preview.cache import Busy, Stage
from router.tuning.targets import SolverTargets
from router.types import DEFAULT_SEGMENT, TargetsOf

VERSIONS_SHOWN = 12
MOST_DIALS = 200
THRESHOLDS = ("parallel_threshold", "reasoning_threshold")
KEYBOARDS = {float: "decimal", int: "numeric", str: "text"}
MIN_MARGIN, COST = "min_margin", "max_cost_per_1k"
TARGETS = {
    MIN_MARGIN: ("Margin, at least", "Of expected revenue: 18 % or 0.18."),
    "max_deep_share": ("Deep share, at most", "5 % or 0.05."),
    COST: ("Cost per 1,000, at most", "US dollars, such as 1.20."),
    "min_quality": ("Quality, at least", "Mean rating that is reached with confidence: 75 % or 0.75."),
}


def show(visit: Visit) -> Mapping[str, object]:
    """Show the dials, by default those in force; those of a version, or those that were not saved, where asked for."""
    services, query = visit.services, {**visit.query, **visit.given}
    today = in_force(services.engine)
    span, segment = queries.span_of(query.get("span", "")), query.get("segment", "").strip()
    loaded = _load_version(visit, today)
    window = visit.window(span)
    seen = queries.segments_of(services.engine, window)
    named = {DEFAULT_SEGMENT, *services.settings.segments, *today.segments, *loaded.segments, segment}
    known = sorted(seen | named - {""})
    return {
        "today": today,
        "loaded": loaded,
        "base": visit.given.get("base", str(today.version)),
        "span": span,
        "spans": queries.SPANS,
        "window": window,
        "segment": segment,
        "segments": known,
        "fields": _fields(loaded, segment, visit.given),
        "hidden": _dials_off_form(today, loaded, segment),
        "targets": TARGETS,
        "happened": read_margin_change(services.engine, window, segment),
        "versions": versions(services.engine, VERSIONS_SHOWN),
        "trial": canary_lifecycle.running(services.engine),
        "pace": canaries.pace(services.engine, today),
        "assumptions": ASSUMPTIONS,
    }


def state(visit: Visit) -> object:
    """How far the requests of a stretch of time are read, and the histogram of their scores."""
    services, span = visit.services, queries.span_of(visit.query.get("span", ""))
    today = in_force(services.engine)
    segment = visit.query.get("segment", "")
    reading = queries.reading(services.previews, span, visit.window(span), today)
    answer = queries.state(reading, span, segment)
    if (preview := queries.ready(reading)) is not None and queries.is_decided(reading, segment):
        own = today.for_segment(segment) if segment else today
        answer["scores"] = queries.scores(preview, segment, [getattr(own, name) for name in THRESHOLDS])
    return answer


def preview(visit: Visit) -> object:
    """Preview what the dials in the body would do; open to viewers too."""
    given = _require_object(visit.body)
    services, span = visit.services, queries.span_of(str(given.get("span", "")))
    today = in_force(services.engine)
    proposed = _read_proposal(visit, today, given)
    segment = str(given.get("segment", ""))
    reading = queries.reading(services.previews, span, visit.window(span), today)
    answer = queries.state(reading, span, segment) | {
        "against": today.version,
        "changes": queries.describe_changes(today, proposed),
    }
    if reading.stage in (Stage.READY, Stage.EMPTY):
        answer |= queries.preview_dials(reading, today, proposed, segment)
    return answer


def backtest(visit: Visit) -> object:
    """Back-test the dials in the body row by row, by segment too; takes some seconds."""
    given = _require_object(visit.body)
    services, span = visit.services, queries.span_of(str(given.get("span", "")))
    today = in_force(services.engine)
    proposed = _read_proposal(visit, today, given)
    window = _window_of_preview(visit, span, today)
    try:
        answer = queries.run_backtest(services.engine, services.previews, window, today, proposed)
    except Busy as error:
        raise NotDone(str(error), 409) from None
    return answer | {
        "against": today.version,
        "changes": queries.describe_changes(today, proposed),
        "span": span,
        "window": window.describe(),
    }


def solve(visit: Visit) -> object:
    """Find the thresholds that meet the targets in the body; takes some seconds."""
    given = _require_object(visit.body)
    services, span = visit.services, queries.span_of(str(given.get("span", "")))
    today, limits = in_force(services.engine), _limits(given.get("targets"))
    window = _window_of_preview(visit, span, today)
    of, segment = str(given.get("of", TargetsOf.ALL)), str(given.get("segment", "")) or None
    if of not in set(TargetsOf):
        raise NotDone(f"of: {', '.join(TargetsOf)}; not {of[:50]!r}")
    try:
        solution = queries.solve_thresholds(
            services.engine, services.previews, window, today, limits, segment, of_all=of == TargetsOf.ALL
        )
    except Busy as error:
        raise NotDone(str(error), 409) from None
    return {
        "requests": solution.requests,
        "window": window.describe(),
        "against": today.version,
        "changes": queries.describe_changes(today, solution.policy),
        "binding": solution.binding,
        "used": solution.used,
        "note": solution.note,
        "of": of,
        "understood": _describe_targets(limits),
        "predicted": queries.figures(solution.figures, solution.quality),
        "whole": None if solution.whole is None else queries.figures(solution.whole),
    }


def trial(visit: Visit) -> object:
    """The open trial, and how its guards stand now."""
    services = visit.services
    limits = verdicts.HarmLimits(**services.settings.canary.model_dump())
    return canaries.trial(services.engine, services.now_us(), services.verdict_on, limits)


def save(visit: Visit) -> Done:
    """Write the dials of the form as a version on top of the one that the operator saw."""
    services, note = visit.services, visit.text("note", 2_000)
    today = in_force(services.engine)
    _require_same(visit.text("base"), today)
    wanted = {name: value for name, value in visit.given.items() if _is_dial(name)}
    proposed = queries.proposal(today, wanted, services.settings.tiers)
    changes = {name: after for name, (_, after) in dials.differences(today, proposed).items()}
    tiers, actor = services.settings.tiers, _actor(visit, note)
    made = lifecycle.propose(services.engine, changes, tiers, actor, base=today.version)
    span = queries.span_of(visit.text("span"))
    queries.keep_prediction(services, made, proposed, span, visit.window(span))
    return Done(
        f"Version {made} is saved. Nothing is decided by it yet: try it as a canary, or activate it.", _at(visit, made)
    )


def activate(visit: Visit) -> Done:
    """Put a version in force; one whose canary is not decided yet only where that was said to be known."""
    version, engine = _whole(visit, "version"), visit.services.engine
    actor, trial = _actor(visit, _reason(visit)), canary_lifecycle.running(engine)
    if trial is not None and trial.version == version and trial.is_undecided and not visit.text("undecided"):
        raise NotDone(
            f"It is too early to tell whether version {version} harms. Wait for its guards, or say that you know: the "
            f"box beside Activate",
            409,
        )
    lifecycle.activate(engine, version, visit.services.settings.tiers, actor)
    return Done(f"Version {version} is in force; every worker follows within two seconds.", _at(visit))


def roll_back(visit: Visit) -> Done:
    """Put what was before the version in force back in force."""
    undone = _whole(visit, "version")
    back = lifecycle.roll_back(visit.services.engine, _actor(visit, _reason(visit)), undone=undone)
    return Done(f"Version {back} is in force again.", _at(visit))


def validate(visit: Visit) -> Done:
    """Hold a version against the configuration of today."""
    version = _whole(visit, "version")
    lifecycle.validate(visit.services.engine, version, visit.services.settings.tiers, _actor(visit))
    return Done(f"Version {version} fits the configuration of today.", _at(visit, version))


def canary(visit: Visit) -> Done:
    """Try a version on a share of the conversations."""
    version, services = _whole(visit, "version"), visit.services
    try:
        share = read_share(visit.text("share"))
    except WrongShare as error:
        raise NotDone(f"share of conversations: {error}") from None
    mode, then = visit.text("mode") or "canary", visit.text("on_success") or canary_lifecycle.WAIT
    tiers, actor = services.settings.tiers, _actor(visit)
    canary_lifecycle.start(services.engine, version, share, tiers, actor, mode=mode, on_success=then)
    how = "decides in the shadow; nothing acts on it" if mode == "shadow" else "answers"
    return Done(f"Version {version} {how}, for {format_typed_share(share)} of the conversations.", _at(visit))


def stop(visit: Visit) -> Done:
    """End the trial that is open."""
    ended = canary_lifecycle.stop(visit.services.engine, _actor(visit), _whole(visit, "canary"))
    return Done(f"The trial of version {ended.version} has ended; version {ended.control} decides alone.", _at(visit))


def _load_version(visit: Visit, today: Policy) -> Policy:
    """Load the version whose dials are shown: the one asked for, else that in force."""
    wanted = visit.given.get("version", "") or visit.query.get("version", "")
    if not wanted.isascii() or not wanted.isdecimal() or len(wanted) > 9:
        return today
    try:
        return lifecycle.version_of(visit.services.engine, int(wanted)).policy
    except WrongPolicy:
        return today


def _fields(loaded: Policy, segment: str, given: Mapping[str, str]) -> list[dict[str, Any]]:
    """The form's dials: of a segment those it may have of its own, with the policy's as what an empty one means."""
    return [_field(dial, loaded, segment, given) for dial in (SEGMENT_DIALS if segment else DIALS).values()]


def _field(dial: Dial, loaded: Policy, segment: str, given: Mapping[str, str]) -> dict[str, Any]:
    name, policys = _name(dial, segment), getattr(loaded, dial.name)
    value = getattr(loaded.segments.get(segment), dial.name, None) if segment else policys
    return {
        "dial": dial,
        "name": name,
        "value": given.get(name, "" if value is None else dials.format_dial(value)),
        "inherited": dials.format_dial(policys) if segment else "",
        "help": _help(dial, segment),
        "keyboard": KEYBOARDS[dial.kind],
    }


def _name(dial: Dial, segment: str) -> str:
    return f"{dials.IN_SEGMENT}{segment}.{dial.name}" if segment else dial.name


def _help(dial: Dial, segment: str) -> str:
    """What a dial means, what it may be, and what an empty field means, as sentences."""
    sentences = [dial.help[0].upper() + dial.help[1:]]
    if dial.kind is not str:
        is_share = dial.unit == "share"
        low, high = (format_typed_share(end) if is_share else f"{end:g}" for end in (dial.low, dial.high))
        sentences.append(f"From {low} to {high}{'; 10 % and 0.1 mean the same' if is_share else ''}")
    if empty := dial.inherited if segment else dial.unset:
        sentences.append(f"Empty: {empty}")
    return ". ".join(sentences) + "."


def _dials_off_form(today: Policy, loaded: Policy, segment: str) -> dict[str, str]:
    """What else a version that was loaded changes: dials that this form does not show, and still saves."""
    on_form = {_name(dial, segment) for dial in (SEGMENT_DIALS if segment else DIALS).values()}
    changes = dials.differences(today, loaded)
    return {name: dials.format_dial(after) for name, (_, after) in changes.items() if name not in on_form}


def _require_object(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise NotDone("a JSON object is expected")
    return body


def _read_proposal(visit: Visit, today: Policy, given: Mapping[str, Any]) -> Policy:
    wanted = given.get("dials", {})
    if not isinstance(wanted, dict) or len(wanted) > MOST_DIALS:
        raise NotDone("dials: an object of names and values is expected")
    return queries.proposal(today, wanted, visit.services.settings.tiers)


def _window_of_preview(visit: Visit, span: str, today: Policy) -> Window:
    """The window that the preview was read over, where it was: a back-test and a solution are of the same requests."""
    window = visit.window(span)
    return queries.reading(visit.services.previews, span, window, today).window or window


def _limits(targets: object) -> SolverTargets:
    """Read targets by their names; raises NotDone."""
    if not isinstance(targets, dict):
        raise NotDone("targets: an object of names and numbers is expected")
    values: dict[str, float | None] = {}
    for name, value in targets.items():
        if name not in TARGETS:
            raise NotDone(f"unknown target {str(name)[:50]!r}")
        try:
            values[name] = float(value) if name == COST else read_share(str(value))
        except WrongShare as error:
            raise NotDone(f"{TARGETS[name][0]}: {error}") from None
        except (TypeError, ValueError):
            raise NotDone(f"{TARGETS[name][0]}: a number is expected, such as 1.20") from None
    try:
        cost = values.get("max_cost_per_1k")
        return SolverTargets(values.get("max_deep_share"), cost, values.get("min_margin"), values.get("min_quality"))
    except ValueError as error:
        raise NotDone(str(error)) from None


def _describe_targets(limits: SolverTargets) -> str:
    """Say how targets were understood."""
    named = {**limits.spending(), "min_quality": limits.min_quality}
    return "; ".join(
        f"{TARGETS[name][0]} {format_usd(value) if name == COST else format_typed_share(value)}"
        for name, value in named.items()
        if value is not None
    )


def _is_dial(name: str) -> bool:
    return name in DIALS or name.startswith(dials.IN_SEGMENT)


def _require_same(base: str, today: Policy) -> None:
    """Refuse what was made on top of another version than the one in force: two would undo each other unseen."""
    if base != str(today.version):
        raise NotDone(
            f"Somebody put version {today.version} in force while you looked at version {base or '?'}. Your dials are "
            f"still in the form: look at what they do now, and save again if you still want them",
            409,
        )


def _whole(visit: Visit, name: str) -> int:
    text = visit.text(name)
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise NotDone(f"{name}: a whole number is expected")
    return int(text)


def _reason(visit: Visit) -> str:
    """Why something is put in force, which must be said; raises NotDone."""
    if not (note := visit.text("note", 2_000)):
        raise NotDone("Say why: the history keeps it for those who come after you")
    return note


def _actor(visit: Visit, note: str | None = None) -> Actor:
    return Actor(visit.actor, visit.text("note", 2_000) if note is None else note, visit.services.now_us())


def _at(visit: Visit, version: int | None = None) -> str:
    """Where a change leads back to: the same stretch of time and segment."""
    kept = {name: value for name in ("span", "segment") if (value := visit.given.get(name, ""))}
    if version is not None:
        kept["version"] = str(version)
    return "thresholds" + (f"?{urlencode(kept)}" if kept else "")


PAGE = Page(
    "thresholds",
    "Thresholds",
    show,
    acts=(
        FormAction("save", save),
        FormAction("activate", activate),
        FormAction("rollback", roll_back),
        FormAction("validate", validate),
        FormAction("canary", canary),
        FormAction("stop", stop),
    ),
    feeds=(
        JsonFeed("thresholds/state", state),
        JsonFeed("thresholds/trial", trial),
        JsonFeed("thresholds/preview", preview, "POST"),
        JsonFeed("thresholds/backtest", backtest, "POST"),
        JsonFeed("thresholds/solve", solve, "POST"),
    ),
)
