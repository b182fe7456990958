"""Writes pages: the templates, and how times and quantities are shown to an operator. Everything is escaped."""

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from router.admin.assets import ASSETS, HAS_CHARTS
from router.mistakes.extras import how_to_get
from router.policies.dials import format_dial
from router.reports.formatting import format_count, format_nanousd, format_share, format_usd
from router.reports.rendering import environment_of

if TYPE_CHECKING:
    from jinja2 import Environment

UNKNOWN = Markup('<span class="unknown">unknown</span>')
TIERS = ("fast", "parallel", "reasoning")


def render(template: str, **context: object) -> str:
    """Write a page; blocks for some milliseconds."""
    return _environment().get_template(template).render(**context)


@cache
def _environment() -> "Environment":
    from jinja2 import pass_context

    environment = environment_of("router.admin")

    @pass_context
    def moment(context: Any, us: int | None) -> Markup:
        """Write an instant in the operator's zone."""
        return time_element(us, context.get("zone", UTC))

    environment.filters |= {
        "number": lambda value: UNKNOWN if value is None else format_count(value),
        "amount": lambda value: UNKNOWN if value is None else format_usd(value),
        "nano": lambda value: UNKNOWN if value is None else format_nanousd(value),
        "percent": lambda value: UNKNOWN if value is None else format_share(value),
        "milliseconds": format_milliseconds,
        "moment": moment,
        "words": format_name,
        "dial": format_dial,
        "lasting": format_duration,
        "with_code": format_code,
    }
    environment.globals |= {
        "asset": ASSETS.url,
        "has_charts": HAS_CHARTS,
        "get_charts": how_to_get("reports"),
        "TIERS": TIERS,
    }
    return environment


def time_element(us: int | None, zone: Any) -> Markup:
    """Write an instant: the zone's date and time for the eye, UTC for the mouse and for machines."""
    if us is None:
        return Markup('<span class="unknown">never</span>')
    at = datetime.fromtimestamp(us / 1e6, UTC)
    local = at.astimezone(zone).strftime("%Y\u2011%m\u2011%d %H:%M:%S")  # dates never break, at a space they may
    iso = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, iso, local)


def format_milliseconds(value: float | None) -> str | Markup:
    """Write a duration given in milliseconds."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f} ms" if value < 10_000 else format_duration(value / 1_000)


def format_duration(seconds: float | None) -> str | Markup:
    """Write how long something takes or took."""
    if seconds is None:
        return UNKNOWN
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def format_code(text: str) -> Markup:
    """Write a sentence, and as code what stands between its backticks."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))


def format_name(name: object) -> str:
    """Write a name of the closed lists for people."""
    return str(name).replace("_", " ")
