"""What a query is expected to earn: dated assumptions by segment and country, in integers.

Expected revenue never decides a tier; it is stored with the request, next to the version that it comes from.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, insert, select

from router.ledger.database import exclusive
from router.ledger.tables import RevenueVersion
from router.money import NanoUsd, nano_from_usd, round_half_even

CONFIG_AUTHOR = "config"
DEFAULT_SEGMENT = "default"
MILLION = 1_000_000
REST = "*"

# Relative ad revenue by country (judgement inside published ranges, 2026); an unknown country counts as the default.
WESTERN_EUROPE = "AT BE CH DE DK ES FI FR GB IE IS IT LU NL NO PT SE"
ASIA_PACIFIC = "AU CN HK ID IN JP KR MY NZ PH SG TH TW VN"
COUNTRY_FACTORS_PPM: Mapping[str, int] = {
    REST: 80_000,
    "ZZ": MILLION,
    "US": MILLION,
    "CA": MILLION,
    **dict.fromkeys(WESTERN_EUROPE.split(), 400_000),
    **dict.fromkeys(ASIA_PACIFIC.split(), 100_000),
}


class StatedRevenue(Protocol):
    """Revenue assumptions in the configuration."""

    @property
    def ecpm_usd(self) -> Decimal: ...
    @property
    def ads_per_query(self) -> Decimal: ...
    @property
    def publisher_share(self) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class Assumption:
    """One segment's: revenue per thousand ads, ads per query and the share that stays with us (parts per million)."""

    ecpm_nanousd: int
    ads_per_query_ppm: int
    publisher_share_ppm: int

    def expected(self, country_factor_ppm: int) -> NanoUsd:
        """What one eligible query is expected to earn."""
        numerator = self.ecpm_nanousd * self.ads_per_query_ppm * self.publisher_share_ppm * country_factor_ppm
        return NanoUsd(round_half_even(numerator, 1_000 * MILLION**3))


def assumption_of_config(stated: StatedRevenue) -> Assumption:
    """Read a `[revenue]` table."""
    return Assumption(nano_from_usd(stated.ecpm_usd), _ppm(stated.ads_per_query), _ppm(stated.publisher_share))


def body_of(segments: Mapping[str, Assumption], countries: Mapping[str, int] = COUNTRY_FACTORS_PPM) -> dict[str, Any]:
    """The shape in which a version is stored."""
    return {"segments": {name: asdict(a) for name, a in segments.items()}, "country_factors_ppm": dict(countries)}


class _Version:
    """One version, with the amounts computed so far."""

    def __init__(self, number: int, body: Mapping[str, Any]) -> None:
        self.number = number
        self._segments = {name: Assumption(**a) for name, a in body["segments"].items()}
        self._factors: Mapping[str, int] = body["country_factors_ppm"]
        self._expected: dict[tuple[str, str], NanoUsd | None] = {}

    def expected(self, segment: str, country: str) -> NanoUsd | None:
        key = (segment, country)
        if key not in self._expected:
            assumption = self._segments.get(segment) or self._segments.get(DEFAULT_SEGMENT)
            factor = self._factors.get(country, self._factors.get(REST, MILLION))
            self._expected[key] = assumption.expected(factor) if assumption else None
        return self._expected[key]


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
        newest = select(RevenueVersion.version).order_by(RevenueVersion.version.desc()).limit(1)
        with engine.connect() as connection:
            number = connection.scalar(newest)
            if number is None or (self._current and self._current.number == number):
                return
            body = connection.scalar(select(RevenueVersion.body).where(RevenueVersion.version == number))
        self._current = _Version(number, body or {})

    @property
    def version(self) -> int | None:
        """The number of the version in force."""
        return self._current.number if self._current else None

    def expected(self, segment: str, country: str, eligible: bool) -> tuple[int | None, int | None]:
        """Return the version and what a query is expected to earn; None and None without any assumption."""
        current = self._current
        if current is None:
            return None, None
        amount = current.expected(segment, country)
        return current.number, amount if eligible or amount is None else 0


def sync(engine: Engine, segments: Mapping[str, StatedRevenue], now_us: int) -> None:
    """Import the configuration's assumptions as a new version, only when they changed since the last import."""
    body = body_of({name: assumption_of_config(stated) for name, stated in segments.items()})
    mark = f"configuration {_digest(body)}"
    with exclusive(engine) as connection:
        last = connection.scalar(
            select(RevenueVersion.note)
            .where(RevenueVersion.author == CONFIG_AUTHOR)
            .order_by(RevenueVersion.version.desc())
            .limit(1)
        )
        if last != mark:
            add_version(connection, body, CONFIG_AUTHOR, mark, now_us)


def add_version(connection: Connection, body: Mapping[str, Any], author: str, note: str, now_us: int) -> int:
    """Write a version; it is in force from now on. Returns its number."""
    values = {"created_at": now_us, "author": author, "note": note, "body": dict(body)}
    made = connection.execute(insert(RevenueVersion).values(values)).inserted_primary_key
    assert made is not None
    return int(made[0])


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def _ppm(share: Decimal) -> int:
    return int((share * MILLION).to_integral_value())
