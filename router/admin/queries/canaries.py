"""Reads the open trial and its guards, what versions did beside what was predicted, and the multipliers of pacing."""

import math
from collections.abc import Callable

from sqlalchemy import Engine

from router.admin.queries.thresholds import interval_cell
from router.canary.monitor import verdict_of
from router.canary.verdicts import GuardFinding, HarmLimits, Verdict
from router.decision.policy import Policy
from router.pacing import multipliers
from router.policies import canary_lifecycle
from router.policies.canaries import Mode
from router.policies.lifecycle import version_of
from router.tuning import predictions


def trial(
    engine: Engine, now_us: int, verdict_on: Callable[[int], Verdict | None], limits: HarmLimits
) -> dict[str, object]:
    """The open trial and what its guards say; `open` is false where there is none.

    `verdict_on` is what this worker's monitor found last; where it has not read far enough, the books are read from the
    canary's start.
    """
    open_one = canary_lifecycle.running(engine)
    if open_one is None:
        last = next(iter(canary_lifecycle.history(engine, 1)), None)
        ended = {"version": last.version, "state": last.state.value, "verdict": last.verdict} if last else None
        return {"open": False, "last": ended}
    answer: dict[str, object] = {"open": True, "id": open_one.id, "state": open_one.state.value, "findings": []}
    if open_one.mode is Mode.SHADOW:
        return answer | {"said": "A shadow acts on nothing, so there is nothing to guard."}
    tried, control = (version_of(engine, number).policy for number in (open_one.version, open_one.control))
    verdict = verdict_on(open_one.id) or verdict_of(engine, open_one, tried, control, now_us, limits)
    return answer | {
        "said": str(verdict),
        "requests": {"canary": verdict.canary_requests, "control": verdict.control_requests},
        "more": verdict.more,
        "is_enough": verdict.canary_requests >= limits.least_requests,
        "findings": [_finding(finding) for finding in verdict.findings],
    }


def compare_realised(engine: Engine, version: int) -> dict[str, object]:
    """Compare what a version did with what it was predicted to do; raises WrongPolicy where nothing is known of it."""
    comparison = predictions.read_realised(engine, version)
    predicted = comparison.predicted
    return {
        "version": version,
        "since": comparison.since_us,
        "requests": comparison.requests,
        "predicted_by": predicted.made_by if predicted else None,
        "predicted_at": predicted.created_at_us if predicted else None,
        "segment": predicted.segment if predicted else None,
        "figures": [
            {
                "figure": one.figure,
                "predicted": interval_cell(one.predicted),
                "realised": interval_cell(one.realised),
                "is_outside": one.is_outside,
            }
            for one in comparison.figures
        ],
    }


def pace(engine: Engine, policy: Policy) -> list[dict[str, object]]:
    """What pacing multiplies the thresholds of each segment by."""
    return [
        {
            "segment": step.segment,
            "price": step.price,
            "target": step.target,
            "is_dry": step.is_dry,
            "is_frozen": step.is_frozen,
            "spent_nanousd": step.spent_nanousd,
            "due_nanousd": step.due_nanousd,
        }
        for step in multipliers.current(engine, policy)
    ]


def _finding(finding: GuardFinding) -> dict[str, object]:
    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "guard": finding.guard.value,
        "standing": finding.standing.value,
        "canary": finite(finding.canary),
        "control": finite(finding.control),
        "harm": finite(finding.harm),
        "low": finite(finding.low),
        "high": finite(finding.high),
        "harmful": finding.harmful,
    }
