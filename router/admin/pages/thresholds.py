"""Thresholds: what other dials would do, as they are moved; and from there to a version, a trial, and into force."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from router.admin.page import Done, FormAction, JsonFeed, NotDone, Page, Visit
from router.admin.queries import canaries
from router.admin.queries import thresholds as asked
from router.admin.queries.history import versions
from router.canary import verdicts
from router.decision.policy import Policy
from router.keys import DEFAULT_SEGMENT
from router.policies import canary_lifecycle, dials, lifecycle
from router.policies.dials import WrongPolicy
from router.policies.lifecycle import Actor
from router.policies.versions import in_force
from router.tuning.preview.cache import Busy
from router.tuning.solver import SolverTargets

VERSIONS_SHOWN = 12
MOST_DIALS = 200
THRESHOLDS = ("parallel_threshold", "reasoning_threshold")
TARGETS = {
    "max_deep_share": ("Deep share, at most", "Of auto queries, 0 to 1; 0.05 is 5 %."),
    "max_cost_per_1k": ("Cost per 1,000, at most", "US dollars, such as 1.20."),
    "min_margin": ("Margin, at least", "Of expected revenue; 0.3 is 30 %."),
    "min_quality": ("Quality, at least", "Mean rating, 0 to 1, surely reached."),
}


@dataclass(frozen=True, slots=True)
class Dial:
    """One dial of the form."""

    name: str
    label: str
    help: str
    step: str = "0.001"
    choices: tuple[str, ...] = ()
    segment_too: bool = False


DIALS = (
    Dial("parallel_threshold", "Parallel from", "Score from which samples vote; above 1.1 never.", segment_too=True),
    Dial("reasoning_threshold", "Reasoning from", "Score from which a query is thought about.", segment_too=True),
    Dial(
        "max_deep_share", "Deep share, at most", "0.1 is 10 % of auto queries; the neediest keep it.", segment_too=True
    ),
    Dial("explore", "Explored share", "Sent to any tier, so that other thresholds can be judged."),
    Dial("shadow", "Shadowed share", "Also answered by another tier, off the user's path."),
    Dial("parallel_samples", "Samples, at most", "Empty: as in the configuration file.", "1"),
    Dial("parallel_confidence", "Confidence of a vote", "Empty: as in the configuration file.", "any"),
    Dial("max_wait_s", "Wait, at most (s)", "A deep tier that usually takes longer to begin is closed.", "any"),
    Dial("min_margin", "Margin to hold", "What pacing steers to; 0.3 is 30 %.", "any", segment_too=True),
    Dial("pacing", "Pacing", "Dry run only notes what it would do.", choices=("off", "dry_run", "on")),
    Dial("classifier", "Classifier", "Version of an adapted artefact; empty: the configured one."),
)


def show(visit: Visit) -> Mapping[str, object]:
    """Show the dials, by default those in force; those of a version, or those that were not saved, where asked for."""
    services, query = visit.services, {**visit.query, **visit.given}
    today = in_force(services.engine)
    span, segment = asked.span_of(query.get("span", "")), query.get("segment", "").strip()
    loaded = _loaded(visit, today)
    known = sorted({DEFAULT_SEGMENT, *services.settings.segments, *today.segments, *loaded.segments, segment} - {""})
    return {
        "today": today,
        "loaded": loaded,
        "base": visit.given.get("base", str(today.version)),
        "span": span,
        "spans": asked.SPANS,
        "segment": segment,
        "segments": known,
        "fields": _fields(loaded, segment, visit.given),
        "hidden": _hidden(today, loaded, segment),
        "targets": TARGETS,
        "versions": versions(services.engine, VERSIONS_SHOWN),
        "trial": canary_lifecycle.running(services.engine),
        "pace": canaries.pace(services.engine, today),
        "assumptions": asked.ASSUMPTIONS,
    }


def state(visit: Visit) -> object:
    """How far the requests of a stretch of time are read, and the histogram of their scores."""
    services, span = visit.services, asked.span_of(visit.query.get("span", ""))
    today = in_force(services.engine)
    reading = asked.reading(services.previews, span, services.now_us(), today)
    found = asked.state(reading, span)
    segment = visit.query.get("segment", "")
    if (preview := asked.ready(reading)) is not None:
        own = today.for_segment(segment) if segment else today
        found["scores"] = asked.scores(preview, segment, [getattr(own, name) for name in THRESHOLDS])
    return found


def preview(visit: Visit) -> object:
    """What the dials in the body would do; viewers may look."""
    given = _given(visit.body)
    services, span = visit.services, asked.span_of(str(given.get("span", "")))
    today = in_force(services.engine)
    proposed = _proposed(visit, today, given)
    reading = asked.reading(services.previews, span, services.now_us(), today)
    found = asked.state(reading, span) | {"against": today.version, "changes": asked.told(today, proposed)}
    if (ready := asked.ready(reading)) is not None:
        found |= asked.previewed(ready, today, proposed, str(given.get("segment", "")))
    return found


def backtest(visit: Visit) -> object:
    """The same row by row, by segment too; takes some seconds."""
    given = _given(visit.body)
    services, span = visit.services, asked.span_of(str(given.get("span", "")))
    today = in_force(services.engine)
    proposed = _proposed(visit, today, given)
    window = asked.window_of(span, services.now_us())
    try:
        found = asked.replayed(services.engine, services.previews, window, today, proposed)
    except Busy as error:
        raise NotDone(str(error), 409) from None
    return found | {"against": today.version, "changes": asked.told(today, proposed), "span": span}


def solve(visit: Visit) -> object:
    """The thresholds that meet the targets in the body; takes some seconds."""
    given = _given(visit.body)
    services, span = visit.services, asked.span_of(str(given.get("span", "")))
    today, limits = in_force(services.engine), _limits(given.get("targets"))
    window = asked.window_of(span, services.now_us())
    try:
        segment = str(given.get("segment", "")) or None
        solution = asked.solved(services.engine, services.previews, window, today, limits, segment)
    except Busy as error:
        raise NotDone(str(error), 409) from None
    return {
        "requests": solution.requests,
        "against": today.version,
        "changes": asked.told(today, solution.policy),
        "binding": solution.binding,
        "used": solution.used,
        "note": solution.note,
        "predicted": asked.figures(solution.figures, solution.quality),
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
    proposed = asked.proposal(today, wanted, services.settings.tiers)
    changes = {name: after for name, (_, after) in dials.differences(today, proposed).items()}
    tiers, actor = services.settings.tiers, _actor(visit, note)
    made = lifecycle.propose(services.engine, changes, tiers, actor, base=today.version)
    asked.keep_prediction(services, made, proposed, asked.span_of(visit.text("span")))
    return Done(
        f"Version {made} is saved. Nothing is decided by it yet: try it as a canary, or activate it.", _at(visit, made)
    )


def activate(visit: Visit) -> Done:
    """Put a version in force."""
    version = _whole(visit, "version")
    lifecycle.activate(visit.services.engine, version, visit.services.settings.tiers, _actor(visit))
    return Done(f"Version {version} is in force; every worker follows within two seconds.", _at(visit))


def roll_back(visit: Visit) -> Done:
    """Put what was before the version in force back in force."""
    undone = _whole(visit, "version")
    back = lifecycle.roll_back(visit.services.engine, _actor(visit), undone=undone)
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
        share = float(visit.text("share"))
    except ValueError:
        raise NotDone("share: a number of percent, such as 5") from None
    mode, then = visit.text("mode") or "canary", visit.text("on_success") or canary_lifecycle.WAIT
    tiers, actor = services.settings.tiers, _actor(visit)
    canary_lifecycle.start(services.engine, version, share / 100, tiers, actor, mode=mode, on_success=then)
    how = "decides in the shadow; nothing acts on it" if mode == "shadow" else "answers"
    return Done(f"Version {version} {how}, for {share:.4g} % of the conversations.", _at(visit))


def stop(visit: Visit) -> Done:
    """End the trial that is open."""
    ended = canary_lifecycle.stop(visit.services.engine, _actor(visit), _whole(visit, "canary"))
    return Done(f"The trial of version {ended.version} has ended; version {ended.control} decides alone.", _at(visit))


def _loaded(visit: Visit, today: Policy) -> Policy:
    wanted = visit.given.get("version", "") or visit.query.get("version", "")
    if not wanted.isascii() or not wanted.isdecimal() or len(wanted) > 9:
        return today
    try:
        return lifecycle.version_of(visit.services.engine, int(wanted)).policy
    except WrongPolicy:
        return today


def _fields(loaded: Policy, segment: str, given: Mapping[str, str]) -> list[dict[str, Any]]:
    """The form's dials: of a segment those it may have of its own, with the policy's as what an empty one means."""
    found = []
    for dial in DIALS:
        if segment and not dial.segment_too:
            continue
        name = f"{dials.IN_SEGMENT}{segment}.{dial.name}" if segment else dial.name
        own = loaded.segments.get(segment)
        value = getattr(own, dial.name, None) if segment else getattr(loaded, dial.name)
        shown = given.get(name, "" if value is None else dials.shown(value))
        inherited = dials.shown(getattr(loaded, dial.name)) if segment else ""
        found.append({"dial": dial, "name": name, "value": shown, "inherited": inherited})
    return found


def _hidden(today: Policy, loaded: Policy, segment: str) -> dict[str, str]:
    """What else a version that was loaded changes: dials that this form does not show, and still saves."""
    shown = {f"{dials.IN_SEGMENT}{segment}.{dial.name}" if segment else dial.name for dial in DIALS}
    changes = dials.differences(today, loaded)
    return {name: dials.shown(after) for name, (_, after) in changes.items() if name not in shown}


def _given(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise NotDone("a JSON object is expected")
    return body


def _proposed(visit: Visit, today: Policy, given: Mapping[str, Any]) -> Policy:
    wanted = given.get("dials", {})
    if not isinstance(wanted, dict) or len(wanted) > MOST_DIALS:
        raise NotDone("dials: an object of names and values is expected")
    return asked.proposal(today, wanted, visit.services.settings.tiers)


def _limits(targets: object) -> SolverTargets:
    """Read targets by their names; raises NotDone."""
    if not isinstance(targets, dict):
        raise NotDone("targets: an object of names and numbers is expected")
    found: dict[str, float | None] = {}
    for name, value in targets.items():
        if name not in TARGETS:
            raise NotDone(f"unknown target {str(name)[:50]!r}")
        try:
            found[name] = float(value)
        except (TypeError, ValueError):
            raise NotDone(f"{name}: a number is expected") from None
    try:
        cost = found.get("max_cost_per_1k")
        return SolverTargets(found.get("max_deep_share"), cost, found.get("min_margin"), found.get("min_quality"))
    except ValueError as error:
        raise NotDone(str(error)) from None


def _is_dial(name: str) -> bool:
    return name in dials.DIALS or name.startswith(dials.IN_SEGMENT)


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
