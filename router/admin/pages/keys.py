"""Keys, segments and budgets: who may call, what they cost, and what they may cost at most."""

from collections.abc import Mapping

from router import keys
from router.admin.page import Done, DoneInPlace, FormAction, JsonFeed, NotDone, Page, Visit
from router.admin.queries import keys as spending
from router.keys import NEW_KEY_SCOPES, Scope
from router.ledger import budgets
from router.ledger.budgets import BudgetKind, BudgetScope, Period
from router.limits.wording import (
    WRITTEN_NAMES,
    format_limits,
    read_duration_us,
    read_instant,
    read_limits,
    read_models,
)
from router.money import nano_from_usd, usd_text
from router.reports.window import WEEK
from router.types import DEFAULT_SEGMENT, Tier

LIMIT_FIELDS = {written: written.replace("_usd_", " $ ").replace("_", " ").capitalize() for written in WRITTEN_NAMES}


def show(visit: Visit) -> Mapping[str, object]:
    """Show keys, segments and budgets."""
    services, week = visit.services, visit.window(WEEK)
    return {
        "spending": spending.read(services.engine, sorted(services.settings.segments), week, services.now_us()),
        "window": week,
        "scopes": list(Scope),
        "usual_scopes": NEW_KEY_SCOPES,
        "tiers": list(Tier),
        "budget_scopes": list(BudgetScope),
        "periods": list(Period),
        "budget_kinds": list(BudgetKind),
        "secret": None,
        "limits": LIMIT_FIELDS,
        "format_limits": format_limits,
        "now_us": services.now_us(),
    }


def burn_down(visit: Visit) -> object:
    """What is left of each budget through its period."""
    return {"budgets": spending.burn_down(visit.services.engine, visit.services.now_us())}


def create(visit: Visit) -> DoneInPlace:
    """Make a key; this answer is the only one that shows it."""
    name, cap = visit.text("name", 128), visit.text("max_cost_usd", 40)
    secret = keys.create(
        visit.services.engine,
        name,
        segment=visit.text("segment", 64) or DEFAULT_SEGMENT,
        scopes=[scope for scope in Scope if visit.given.get(f"scope_{scope}")],
        allowed_tiers=[tier for tier in Tier if visit.given.get(f"tier_{tier}")],
        now_us=visit.services.now_us(),
        hook=visit.hook("key created", name),
        max_cost_nanousd=nano_from_usd(cap) if cap else None,
        allowed_models=read_models(models) if (models := visit.text("allowed_models", 4_000)) else None,
        expires_at=read_instant(end, visit.services.now_us()) if (end := visit.text("expires", 40)) else None,
        limits=read_limits({written: visit.text(written, 40) for written in WRITTEN_NAMES})[0],
    )
    return DoneInPlace(
        {"secret": secret, "notice": f"The key {name} is made. It opens the data plane within two seconds."}
    )


def rotate(visit: Visit) -> DoneInPlace:
    """Give a key a new secret; this answer is the only one that shows it."""
    name, overlap = visit.text("name", 128), visit.text("overlap", 10) or "24h"
    secret = keys.rotate(
        visit.services.engine,
        name,
        overlap_us=read_duration_us(overlap),
        now_us=visit.services.now_us(),
        hook=visit.hook("key rotated", name),
    )
    return DoneInPlace({"secret": secret, "notice": f"The key {name} has a new secret; the old one ends in {overlap}."})


def revoke(visit: Visit) -> Done:
    """Revoke a key."""
    name = visit.text("name", 128)
    keys.revoke(visit.services.engine, name, now_us=visit.services.now_us(), hook=visit.hook("key revoked", name))
    return Done(f"The key {name} is revoked: it is refused within two seconds.", "keys")


def set_budget(visit: Visit) -> Done:
    """Set a budget; what the period has cost so far counts."""
    engine = visit.services.engine
    scope, subject, period = _which(visit)
    limit, note = nano_from_usd(visit.text("limit_usd", 40) or "no amount"), visit.text("note")
    if limit < 0:
        raise NotDone("a limit is no less than 0")
    target = f"{period} {scope} {visit.text('subject', 128)}".strip()
    hook = visit.hook("budget set", target, note)
    try:
        kind = BudgetKind(visit.text("kind", 8)) if visit.text("kind", 8) else None
    except ValueError:
        raise NotDone("a budget is hard or soft") from None
    budgets.put(engine, scope, subject, period, limit, visit.actor, note, visit.services.now_us(), hook, kind)
    return Done(f"At most ${usd_text(limit)} each {period}, within two seconds.", "keys")


def drop_budget(visit: Visit) -> Done:
    """Take a budget away."""
    scope, subject, period = _which(visit)
    target = f"{period} {scope} {visit.text('subject', 128)}".strip()
    if not budgets.drop(visit.services.engine, scope, subject, period, visit.hook("budget taken away", target)):
        raise NotDone("there is no such budget any more", 409)
    return Done("The budget is removed; nothing else changed.", "keys")


def _which(visit: Visit) -> tuple[BudgetScope, str, Period]:
    """Read which budget is meant; raises NotDone."""
    try:
        scope, period = BudgetScope(visit.text("scope", 20)), Period(visit.text("period", 20))
    except ValueError:
        raise NotDone("a budget is of total, key, segment or tier, for each hour, day or month") from None
    name = visit.text("subject", 128)
    if (scope is BudgetScope.TOTAL) != (not name):
        raise NotDone("name the key, segment or tier; in total there is nothing to name")
    return scope, budgets.subject_of(visit.services.engine, scope, name), period


PAGE = Page(
    "keys",
    "Keys & budgets",
    show,
    acts=(
        FormAction("create", create),
        FormAction("rotate", rotate),
        FormAction("revoke", revoke),
        FormAction("budget", set_budget),
        FormAction("drop-budget", drop_budget),
    ),
    feeds=(JsonFeed("keys/budgets", burn_down),),
)
