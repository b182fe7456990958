"""What a query is expected to earn: dated assumptions by segment, surface and country, in integers.

Expected revenue never decides a tier; it is stored with the request, next to the version that it comes from.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, insert, select

from router.database.engine import AuditHook, exclusive
from router.database.tables import RevenueVersion
from router.errors import InvalidRequest
from router.money import NanoUsd, nano_from_usd, round_half_even
from router.types import CONFIG_AUTHOR, DEFAULT_SEGMENT, UNKNOWN_COUNTRY

NEWEST_VERSION = select(RevenueVersion.version).order_by(RevenueVersion.version.desc()).limit(1)
MILLION = 1_000_000
REST = "*"
MOST_REMEMBERED = 100_000
MOST_EXPECTED_NANOUSD = nano_from_usd("100")  # of one query: ninety million such queries still have a sum

LEVEL_COUNTRY = "US"  # whose ads the amounts of an assumption are of
# Relative ad revenue by country (judgement inside published ranges, 2026). A country that is not told has no factor of
# its own: it counts as the one that earns least, until somebody who knows better states one.
WESTERN_EUROPE = "AT BE CH DE DK ES FI FR GB IE IS IT LU NL NO PT SE"
ASIA_PACIFIC = "AU CN HK ID IN JP KR MY NZ PH SG TH TW VN"
COUNTRY_FACTORS_PPM: Mapping[str, int] = {
    REST: 80_000,
    LEVEL_COUNTRY: MILLION,
    "CA": MILLION,
    **dict.fromkeys(WESTERN_EUROPE.split(), 400_000),
    **dict.fromkeys(ASIA_PACIFIC.split(), 100_000),
}


class StaleRevenue(ValueError):
    """Somebody else wrote a version meanwhile; nothing was changed."""


class StatedRevenue(Protocol):
    """Revenue assumptions in the configuration."""

    @property
    def ecpm_usd(self) -> Decimal: ...
    @property
    def ads_per_query(self) -> Decimal: ...
    @property
    def publisher_share(self) -> Decimal: ...
    @property
    def commercial_factor(self) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class Assumption:
    """One segment's: revenue per thousand ads, ads per query and the share that stays with us (parts per million).

    Ads beside a query that may want to buy bring `commercial_ppm` as much (parts per million of once).
    `flat_nanousd` is earned by every query, wherever it comes from and whether or not it may carry ads: a subscription
    spread over its queries, or a price per call.
    """

    ecpm_nanousd: int
    ads_per_query_ppm: int
    publisher_share_ppm: int
    flat_nanousd: int = 0
    commercial_ppm: int = MILLION

    def estimate_revenue(
        self, country_factor_ppm: int, *, eligible: bool = True, is_commercial: bool = False
    ) -> NanoUsd:
        """Return what one query is expected to earn."""
        if not eligible:
            return NanoUsd(min(self.flat_nanousd, MOST_EXPECTED_NANOUSD))
        numerator = self.ecpm_nanousd * self.ads_per_query_ppm * self.publisher_share_ppm * country_factor_ppm
        times_ppm = self.commercial_ppm if is_commercial else MILLION
        expected = round_half_even(numerator * times_ppm, 1_000 * MILLION**4) + self.flat_nanousd
        return NanoUsd(min(expected, MOST_EXPECTED_NANOUSD))


# What ads in a chat may earn a query: judgement inside published ranges, reasons in docs/economics.md.
SCENARIOS: Mapping[str, Assumption] = {
    "low": Assumption(nano_from_usd("10"), 30_000, MILLION, commercial_ppm=2 * MILLION),  # $0.0003
    "base": Assumption(nano_from_usd("25"), 58_000, MILLION, commercial_ppm=2 * MILLION),  # $0.00145
    "high": Assumption(nano_from_usd("40"), 150_000, MILLION, commercial_ppm=2 * MILLION),  # $0.006
}


def assumption_of_config(stated: StatedRevenue) -> Assumption:
    """Read a `[revenue]` table."""
    return Assumption(
        nano_from_usd(stated.ecpm_usd),
        _ppm(stated.ads_per_query),
        _ppm(stated.publisher_share),
        commercial_ppm=_ppm(stated.commercial_factor),
    )


def country_factor_ppm(factors_ppm: Mapping[str, int], country: str) -> int:
    """Return how many times as much ads earn in a country, in parts per million.

    A country without a factor counts as the rest; where it is not told, and no factor is stated for that, as the
    country that earns least.
    """
    if country in factors_ppm:
        return factors_ppm[country]
    if country == UNKNOWN_COUNTRY:
        return min(factors_ppm.values(), default=MILLION)
    return factors_ppm.get(REST, MILLION)


def assumption_name(segment: str, surface: str) -> str:
    """Return the name under which a surface's own assumption of a segment is stored; no segment has a slash."""
    return f"{segment}/{surface}" if surface else segment


def body_of(segments: Mapping[str, Assumption], countries: Mapping[str, int] = COUNTRY_FACTORS_PPM) -> dict[str, Any]:
    """Return the shape in which a version is stored."""
    return {"segments": {name: asdict(a) for name, a in segments.items()}, "country_factors_ppm": dict(countries)}


class _Version:
    """One version, with the amounts computed so far."""

    def __init__(self, number: int, body: Mapping[str, Any]) -> None:
        self.number = number
        self._segments = {name: Assumption(**a) for name, a in body["segments"].items()}
        self._factors: Mapping[str, int] = body["country_factors_ppm"]
        self._expected: dict[tuple[str, str, bool, str, bool], NanoUsd | None] = {}

    def estimate_revenue(
        self, segment: str, country: str, eligible: bool, surface: str, is_commercial: bool
    ) -> NanoUsd | None:
        key = (segment, country, eligible, surface, is_commercial)
        if key not in self._expected:
            assumption = self._of(segment, surface)
            factor = country_factor_ppm(self._factors, country)
            revenue = (
                assumption.estimate_revenue(factor, eligible=eligible, is_commercial=is_commercial)
                if assumption
                else None
            )
            if len(self._expected) >= MOST_REMEMBERED:
                self._expected.clear()
            self._expected[key] = revenue
        return self._expected[key]

    def _of(self, segment: str, surface: str) -> Assumption | None:
        """Find the nearest assumption: of the segment on its surface, of the segment, of the surface, of everybody."""
        names = (
            assumption_name(segment, surface),
            segment,
            assumption_name(DEFAULT_SEGMENT, surface),
            DEFAULT_SEGMENT,
        )
        return next((self._segments[name] for name in names if name in self._segments), None)


class RevenueBook:
    """The version in force. `refresh` follows the database; readers never wait."""

    def __init__(self) -> None:
        self._current: _Version | None = None

    @classmethod
    def load(cls, engine: Engine) -> "RevenueBook":
        """Read the newest version from the database."""
        book = cls()
        book.refresh(engine)
        return book

    def refresh(self, engine: Engine) -> None:
        """Take over a newer version if there is one; raises SQLAlchemyError and keeps what it has."""
        with engine.connect() as connection:
            number = connection.scalar(NEWEST_VERSION)
            if number is None or (self._current and self._current.number == number):
                return
            body = connection.scalar(select(RevenueVersion.body).where(RevenueVersion.version == number))
        self._current = _Version(number, body or {})

    @property
    def version(self) -> int | None:
        """The number of the version in force."""
        return self._current.number if self._current else None

    def estimate_revenue(
        self, segment: str, country: str, eligible: bool, *, surface: str = "", is_commercial: bool = False
    ) -> tuple[int | None, int | None]:
        """Return the version and what a query is expected to earn; None and None without any assumption."""
        current = self._current
        if current is None:
            return None, None
        return current.number, current.estimate_revenue(segment, country, eligible, surface, is_commercial)


def revenue_of_a_query(engine: Engine, stated: StatedRevenue | None = None) -> int | None:
    """Return what a query of the default segment that may carry ads earns in the United States, as is in force.

    Books without a version yet are given the stated assumption; None where there is neither. Raises SQLAlchemyError.
    """
    _, expected = RevenueBook.load(engine).estimate_revenue(DEFAULT_SEGMENT, LEVEL_COUNTRY, eligible=True)
    if expected is None and stated is not None:
        return assumption_of_config(stated).estimate_revenue(MILLION)
    return expected


def sync(engine: Engine, segments: Mapping[str, StatedRevenue], now_us: int) -> None:
    """Import the configuration's assumptions as a new version, only when they changed since the last import.

    Books of before are given today's rule for countries that are not told, as a version of its own: all else of what is
    in force stays.
    """
    body = body_of({name: assumption_of_config(stated) for name, stated in segments.items()})
    mark = f"configuration {_digest(body)}"
    with exclusive(engine) as connection:
        last = connection.scalar(
            select(RevenueVersion.note)
            .where(RevenueVersion.author == CONFIG_AUTHOR)
            .order_by(RevenueVersion.version.desc())
            .limit(1)
        )
        if last == f"configuration {_digest(_with_old_rule(body))}":
            body = _without_old_rule(newest(connection).body)
        if last != mark:
            add_version(connection, body, CONFIG_AUTHOR, mark, now_us)


def _with_old_rule(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an earlier release would have imported: a country that is not told earned like the United States."""
    return {**body, "country_factors_ppm": {**body["country_factors_ppm"], UNKNOWN_COUNTRY: MILLION}}


def _without_old_rule(body: Mapping[str, Any]) -> dict[str, Any]:
    factors = dict(body["country_factors_ppm"])
    if factors.get(UNKNOWN_COUNTRY) == MILLION:
        del factors[UNKNOWN_COUNTRY]
    return {**body, "country_factors_ppm": factors}


def add_version(connection: Connection, body: Mapping[str, Any], author: str, note: str, now_us: int) -> int:
    """Write a version; it is in force from now on. Returns its number. Raises InvalidRequest."""
    most_ppm = max([MILLION, *body["country_factors_ppm"].values()])
    for name, stored in body["segments"].items():
        if Assumption(**stored).estimate_revenue(most_ppm, is_commercial=True) >= MOST_EXPECTED_NANOUSD:
            raise InvalidRequest(f"{name}: one query would be expected to earn $100 or more; look at the units")
    values = {"created_at": now_us, "author": author, "note": note, "body": dict(body)}
    made = connection.execute(insert(RevenueVersion).values(values)).inserted_primary_key
    assert made is not None
    return int(made[0])


def newest(connection: Connection) -> Any:
    """Read the version in force; None when there is none."""
    return connection.execute(
        select(RevenueVersion.__table__).order_by(RevenueVersion.version.desc()).limit(1)
    ).one_or_none()


def change(
    engine: Engine,
    changed: Mapping[str, Assumption],
    factors_ppm: Mapping[str, int | None],
    author: str,
    note: str,
    now_us: int,
    *,
    seen: int | None = None,
    hook: AuditHook | None = None,
) -> int:
    """Write a version that differs from the one in force by these segments and country factors; returns its number.

    A factor of None is taken out: the country counts as others without one.
    `seen` is the version that the author looked at: raises StaleRevenue when it is no longer the one in force.
    """
    with exclusive(engine) as connection:
        current = newest(connection)
        if seen is not None and current is not None and current.version != seen:
            raise StaleRevenue(f"version {current.version} was saved meanwhile by {current.author}; look at it first")
        body: dict[str, Any] = dict(current.body) if current else body_of({})
        segments = dict(body["segments"]) | {name: asdict(a) for name, a in changed.items()}
        factors = dict(body["country_factors_ppm"]) | dict(factors_ppm)
        known = {country: factor for country, factor in factors.items() if factor is not None}
        after = {"segments": segments, "country_factors_ppm": known}
        number = add_version(connection, after, author, note, now_us)
        if hook is not None:
            old = {name: body["segments"].get(name) for name in changed}
            hook(connection, old, {name: segments[name] for name in changed} | {"version": number})
        return number


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def _ppm(share: Decimal) -> int:
    return int((share * MILLION).to_integral_value())
