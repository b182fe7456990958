"""`tierwise whatif`: what a window would have cost and earned had something been different."""

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from router.commands.output import ConfigOption, Format, FormatOption, show
from router.commands.window import Since, UntilOption, ZoneOption, read_window, write_stamp

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from router.reports.whatif import Replay, Scenario
    from router.reports.window import Window

COLUMNS = ("what", "queries", "deep_share", "cost_usd", "expected_revenue_usd", "contribution_usd", "cost_per_1000_usd")
Factor = Annotated[str | None, typer.Option(help="Factor to multiply by.")]
Share = Annotated[str | None, typer.Option(help="Share from 0 to 1 that replaces the actual one.")]


def whatif(
    ecpm: Factor = None,
    ad_load: Factor = None,
    prices: Factor = None,
    input_tokens: Factor = None,
    output_tokens: Factor = None,
    thinking_tokens: Factor = None,
    cache_rate: Share = None,
    country: Annotated[
        list[str] | None,
        typer.Option(help="CC=SHARE: share of all queries that come from this country; repeat for more."),
    ] = None,
    deep_share: Share = None,
    elasticity: Annotated[
        str, typer.Option(help="The exponent e in queries x (cost per query after / before) ^ -e.")
    ] = "0",
    quality_elasticity: Annotated[
        str, typer.Option(help="The exponent q in queries x (quality after / before) ^ q.")
    ] = "0",
    since: Since = None,
    until: UntilOption = None,
    zone: ZoneOption = None,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Recalculate a past window under other assumptions: as it was, and after each change in turn."""
    from router.commands.opening import existing_books
    from router.reports.whatif import Levers, steps

    levers = Levers(
        ecpm=_number("ecpm", ecpm),
        ad_load=_number("ad-load", ad_load),
        prices=_number("prices", prices),
        input_tokens=_number("input-tokens", input_tokens),
        output_tokens=_number("output-tokens", output_tokens),
        thinking_tokens=_number("thinking-tokens", thinking_tokens),
        cache_rate=_number("cache-rate", cache_rate, most=1),
        countries=_mix(country or []),
        deep_share=_number("deep-share", deep_share, most=1),
        elasticity=_number("elasticity", elasticity, most=10) or Decimal(0),
        quality_elasticity=_number("quality-elasticity", quality_elasticity, most=10) or Decimal(0),
    )
    with existing_books(config) as (configured, engine):
        chosen = read_window(configured, since, until, zone)
        before = _state(engine, chosen)
        if unknown := levers.countries.keys() - before.countries.keys():
            raise typer.BadParameter(f"--country: no query came from {', '.join(sorted(unknown))}")
        replay = _replay(engine, chosen) if levers.deep_share is not None else None
        write_stamp(engine, chosen, beside=form is not Format.TABLE)
    changed = steps(before, levers, replay)
    show([_row("before", before), *(_row(name, state) for name, state in changed)], COLUMNS, form)


def _replay(engine: "Engine", window: "Window") -> "Replay | None":
    """What moving the thresholds does, from replayed scores; None where there are too few."""
    from router.tuning.shift import of_traffic

    shift = of_traffic(engine, window)
    return None if shift is None else shift.by


def _state(engine: "Engine", window: "Window") -> "Scenario":
    """Read what is, by tier, split over token buckets by the prices in effect."""
    from router.clock import SystemClock
    from router.ledger.prices import PriceBook
    from router.reports.queries import costs
    from router.reports.whatif import BUCKETS, Scenario, TierState, split

    book, now_us = PriceBook.load(engine), SystemClock().now_us()
    tiers: dict[str, TierState] = {}
    revenue = 0
    for (tier, model), sums in costs(engine, ["tier", "model"], window).rows_in_order():
        price = book.in_effect(model or "", now_us)
        rates = price.rates_by_bucket() if price else {}
        tokens = {name: getattr(sums, name) for name in BUCKETS}
        other, parts = split(sums.cost_nanousd, tokens, rates)
        known = tiers.get(str(tier)) or TierState(Decimal(0), Decimal(0), *(dict.fromkeys(BUCKETS, Decimal(0)),) * 2)
        tiers[str(tier)] = TierState(
            known.queries + sums.requests,
            known.other_cost + other,
            {name: known.tokens[name] + tokens[name] for name in BUCKETS},
            {name: known.costs[name] + parts[name] for name in BUCKETS},
        )
        revenue += sums.expected_nanousd
    countries = {
        str(country): (Decimal(sums.requests), Decimal(sums.expected_nanousd))
        for (country,), sums in costs(engine, ["country"], window).rows_in_order()
    }
    return Scenario(tiers, Decimal(revenue), countries)


def _row(what: str, state: "Scenario") -> dict[str, object]:
    from router.reports.figures import usd

    share = state.deep_share
    return {
        "what": what,
        "queries": f"{state.queries:.0f}",
        "deep_share": None if share is None else str(share.quantize(Decimal("0.0001"))),
        "cost_usd": usd(state.cost),
        "expected_revenue_usd": usd(state.revenue),
        "contribution_usd": usd(state.contribution),
        "cost_per_1000_usd": usd(state.cost * 1_000 / state.queries) if state.queries else None,
    }


def _mix(texts: list[str]) -> dict[str, Decimal]:
    shares = {}
    for text in texts:
        code, _, share = text.partition("=")
        shares[code.upper()] = _number("country", share, most=1) or Decimal(0)
    if sum(shares.values(), Decimal(0)) > 1:
        raise typer.BadParameter("--country: the shares are more than 1 together")
    return shares


def _number(name: str, text: str | None, most: int = 10**6) -> Decimal | None:
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 <= value <= most:
        raise typer.BadParameter(f"--{name} takes a number from 0 to {most}")
    return value
