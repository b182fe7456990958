"""Health: what needs a look now, how providers answer, and whether the classifier still holds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from classifier.drift import Drift
from router.admin.page import Done, FormAction, JsonFeed, NotDone, Page, Visit
from router.admin.queries import health
from router.admin.queries.health import CalibrationHealth, ProviderHealth, ProvidersHealth, Scores
from router.health.breaker import LASTING
from router.health.targets import TargetReading
from router.ledger import budgets
from router.ledger.shipping import ShippingState
from router.notifications import alerts
from router.notifications.advice import BY_RULE, advice_on_alert, advice_on_cause
from router.notifications.rules import AlertRule

STRETCHES = {"60m": "last 60 minutes", "24h": "last 24 hours", "7d": "last 7 days"}
USUAL_STRETCH = "60m"
LATE_S, VERY_LATE_S = 30.0, 300.0
NEARLY_SPENT = 0.9
ALERTS_SHOWN = 30
FORECAST_DAYS = 7


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that needs a look, and what to do next: `level` is warning or bad."""

    level: str
    what: str
    says: str
    next: str
    page: str = ""


def show(visit: Visit) -> Mapping[str, object]:
    """Show the alarms and what they come from."""
    services = visit.services
    name = _stretch(visit)
    state = services.shipping()
    providers = health.providers(services.engine, visit.window(name).since_us or 0)
    scores, calibration = _classifier(visit)
    return {
        "stretch": name,
        "window": visit.window(name),
        "stretch_title": STRETCHES[name],
        "stretches": STRETCHES,
        "state": state,
        "providers": providers,
        "targets": services.targets(),
        "scores": scores,
        "calibration": calibration,
        "forecasts": health.forecasts(services.engine, visit.window(f"{FORECAST_DAYS}d").since_us or 0),
        "forecast_days": FORECAST_DAYS,
        "alarms": _alarms(visit, state, providers, scores, calibration),
        "alerts": alerts.read(services.engine, most=ALERTS_SHOWN),
        "open_alerts": alerts.read(services.engine, only_open=True),
        "reading": reading,
        "advice": advice_on_alert,
        "describe_failures": describe_failures,
    }


def _stretch(visit: Visit) -> str:
    asked = visit.query.get("span", "")
    return asked if asked in STRETCHES else USUAL_STRETCH


def feed(visit: Visit) -> object:
    """The alarms and figures as JSON, for the charts and for anybody who watches."""
    services = visit.services
    state = services.shipping()
    providers = health.providers(services.engine, visit.window(_stretch(visit)).since_us or 0)
    scores, calibration = _classifier(visit)
    return {
        "alerts": [
            {
                "state": one.state,
                "deliveries": one.deliveries,
                **asdict(one.alert),
                "next": advice_on_alert(one.alert.rule, one.alert.figures),
            }
            for one in alerts.read(services.engine, most=ALERTS_SHOWN)
        ],
        "alarms": [asdict(alarm) for alarm in _alarms(visit, state, providers, scores, calibration)],
        "providers": [{**asdict(provider), "level": provider.level} for provider in providers.models],
        "targets": [{**asdict(target), "is_closed": target.is_closed} for target in services.targets()],
        "scores": {"edges": scores.edges, "found": scores.shares, "reference": scores.reference},
        "calibration": {"promised": calibration.promised, "kept": calibration.kept, "error": calibration.error},
        "spool": {"lag_entries": state.lag_entries, "lag_seconds": state.lag_seconds, "database": state.database_ok},
    }


def acknowledge(visit: Visit) -> Done:
    """Say that somebody knows of an alert."""
    alert_id, services = visit.text("alert", 32), visit.services
    hook = visit.hook("alert acknowledged", alert_id)
    if not alerts.acknowledge(services.engine, alert_id, visit.actor, services.now_us(), hook):
        raise NotDone("somebody acknowledged it before, or there is no such alert", 409)
    return Done("You know; it is told once more only in another period.", "health")


def reading(drift: Drift) -> float | None:
    """A drift's value, None while there is too little to go by."""
    return None if math.isnan(drift.value) else drift.value


def _classifier(visit: Visit) -> tuple[Scores, CalibrationHealth]:
    engine = visit.services.engine
    return health.scores(engine, visit.services.classifier()), health.calibration(engine)


def _alarms(
    visit: Visit, state: ShippingState, providers: ProvidersHealth, scores: Scores, calibration: CalibrationHealth
) -> list[Alarm]:
    """Everything that needs a look, the gravest first."""
    alarms = (
        *_of_shipping(state),
        *_of_targets(visit.services.targets()),
        *_of_providers(providers),
        *_of_classifier(scores, calibration),
        *_of_budgets(visit),
    )
    return sorted(alarms, key=lambda alarm: alarm.level != "bad")


def _of_classifier(scores: Scores, calibration: CalibrationHealth) -> Iterator[Alarm]:
    if scores.drift.is_alarming:
        says = f"stability index {scores.drift.value:.2f}, above {scores.drift.threshold:.2f}: the traffic changed"
        yield Alarm("warning", "Scores drift:", says, BY_RULE[AlertRule.DRIFT], "thresholds")
    if calibration.gap.is_alarming:
        says = (
            f"P(correct) is {calibration.gap.value:.2f} from what feedback says; above {calibration.gap.threshold:.2f}"
        )
        yield Alarm("warning", "Promises and feedback differ:", says, "Refit with `tierwise train --from-ledger`.")


def _of_shipping(state: ShippingState) -> Iterator[Alarm]:
    if not state.database_ok:
        says = f"{state.last_error or 'no answer'}; the spool keeps everything"
        yield Alarm(
            "bad", "The database is away:", says, "Bring it back, or check `database_url` with `tierwise doctor`."
        )
    if state.lag_seconds > LATE_S:
        level = "bad" if state.lag_seconds > VERY_LATE_S else "warning"
        says = f"{state.lag_entries:,} entries wait, for {state.lag_seconds:,.0f} s"
        yield Alarm(level, "The books are late:", says, BY_RULE[AlertRule.SPOOL])
    if state.low_on_space:
        says = "the deep tiers have stopped"
        yield Alarm("bad", "The spool's disk is nearly full:", says, "Make room on the disk of `state_dir`.")
    if state.rejected_requests:
        says = f"{state.rejected_requests:,} since the start of this worker; they stay in the spool"
        yield Alarm("bad", "The database refuses requests:", says, "Read in its log why; run `tierwise db check`.")


def _of_providers(providers: ProvidersHealth) -> Iterator[Alarm]:
    for model in providers.models:
        if model.level != "good":
            says = f"{model.failed:,} of {model.calls:,} calls: {describe_failures(model)}"
            cause = model.failures[0].cause if model.failures else None
            yield Alarm(model.level, f"{model.model} fails:", says, advice_on_cause(cause), "errors")
        if model.unpriced:
            says = f"{model.unpriced:,} calls of unknown cost"
            yield Alarm("warning", f"{model.model} has no price:", says, BY_RULE[AlertRule.UNPRICED], "prices")


def _of_targets(targets: Sequence[TargetReading]) -> Iterator[Alarm]:
    """Name the models that are not asked: gravely where somebody has to mend something, or no model serves at all."""
    is_served = any(target.may_be_asked for target in targets)
    for target in targets:
        cause = target.breaker.cause
        if cause is not None:
            level = "bad" if cause in LASTING or not is_served else "warning"
            says = f"{cause.replace('_', ' ')}; it is tried again by itself"
            yield Alarm(level, f"{target.model} is not asked:", says, advice_on_cause(cause), "errors")


def describe_failures(model: ProviderHealth, most: int = 3) -> str:
    """Name why calls of a model failed, the commonest causes first."""
    named = [
        f"{failure.cause.replace('_', ' ')}{f' (HTTP {failure.http_status})' if failure.http_status else ''}"
        f" {failure.calls:,}"
        for failure in model.failures[:most]
    ]
    return ", ".join(named) + (", and more" if len(model.failures) > most else "")


def _of_budgets(visit: Visit) -> Iterator[Alarm]:
    for row in budgets.standing(visit.services.engine, visit.services.now_us()):
        limit, spent = row["limit_nanousd"], row["settled_nanousd"]
        if limit and spent >= NEARLY_SPENT * limit:
            what = f"The budget of {row['scope']} {row['subject'] or ''}".rstrip() + f", each {row['period']},"
            says = "is used up" if spent >= limit else f"is used to {spent / limit:.0%}"
            yield Alarm("bad" if spent >= limit else "warning", what, says, BY_RULE[AlertRule.BUDGET], "keys")


PAGE = Page(
    "health",
    "Health",
    show,
    acts=(FormAction("acknowledge", acknowledge),),
    feeds=(JsonFeed("health", feed),),
)
