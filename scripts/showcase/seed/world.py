"""What made-up traffic consists of: who asks, from where, in which language, and what stands in the books for it.

Shares and habits are made up. Prices and expected revenue are those of the books. Where the books have no policy yet,
they get a short history of three, the newest being the configuration's own.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, insert, select

from router.database.engine import exclusive, writing
from router.database.tables import ApiKey, PolicyEvent, PolicyVersion
from router.decision.policy import Policy
from router.ledger import pricelist, revenue
from router.ledger.prices import Price, PriceBook
from router.ledger.revenue import RevenueBook
from router.ledger.store import labels
from router.policies import versions
from router.settings import Settings
from router.types import DEFAULT_SEGMENT

AUTHOR = "synthetic"
CHEAP, STRONG, UNLISTED = "openai/gpt-5-nano", "openai/gpt-5-mini", "example/unlisted"
STAND_IN = "gemini/gemini-2.5-flash-lite"
MODELS = (CHEAP, STRONG, UNLISTED, STAND_IN)
PRICED = {CHEAP, STRONG, STAND_IN}
# Who asks: the name of a key, its segment, its share of all requests. Without a key it is a program on this machine.
CALLERS = (
    ("web", "free", 0.46),
    ("android", "free", 0.19),
    ("ios", "free", 0.13),
    ("web plus", "plus", 0.09),
    ("ios plus", "plus", 0.06),
    ("school", "enterprise", 0.02),
    ("insurer", "enterprise", 0.015),
    ("shop", "enterprise", 0.01),
    ("bank", "enterprise", 0.005),
    (None, DEFAULT_SEGMENT, 0.02),
)
SEGMENTS = tuple(dict.fromkeys(segment for _, segment, _ in CALLERS))
COUNTRIES = {
    "US": 0.22,
    "IN": 0.19,
    "BR": 0.11,
    "DE": 0.09,
    "GB": 0.08,
    "ID": 0.07,
    "FR": 0.06,
    "JP": 0.06,
    "NG": 0.05,
    "PT": 0.04,
    "ZZ": 0.03,
}
OFFSET_HOURS = {"US": -6, "IN": 5, "BR": -3, "DE": 1, "GB": 0, "ID": 7, "FR": 1, "JP": 9, "NG": 1, "PT": 0, "ZZ": 0}
LANGUAGE_OF = {
    "US": "en",
    "IN": "hi",
    "BR": "pt",
    "DE": "de",
    "GB": "en",
    "ID": "id",
    "FR": "fr",
    "JP": "ja",
    "NG": "en",
    "PT": "pt",
    "ZZ": "en",
}
ABROAD = "en"
SHARE_ABROAD, SHARE_NO_LANGUAGE = 0.12, 0.05
# Share of all queries, and how hard they are: the mean gap between what fast gets right and all.
ANSWER_TYPES = {
    "open": (0.50, 0.12),
    "factual": (0.21, 0.10),
    "number": (0.10, 0.26),
    "choice": (0.06, 0.18),
    "code": (0.09, 0.28),
    "yes_no": (0.04, 0.14),
}
OTHER_TEXTS = ("auto", "fast", "reasoning", "parallel", "synthetic")
# Dials before the configuration's, with the share of the time from which they were in force.
EARLIER = (
    (0.0, {"parallel_threshold": 0.20, "reasoning_threshold": 0.40, "max_deep_share": 0.04}, "a careful beginning"),
    (0.3, {"parallel_threshold": 0.14, "reasoning_threshold": 0.30, "max_deep_share": 0.07}, "complaints about maths"),
)
OWN_SINCE = 0.65


@dataclass(frozen=True, slots=True)
class World:
    """What made-up requests refer to; `policies` in the order of time, each with the moment of its activation."""

    labels: Mapping[str, int]
    prices: Mapping[str, Price | None]
    expected: Mapping[tuple[str, str], int]
    revenue_version: int
    policies: Sequence[tuple[int, Policy]]
    keys: Sequence[int]

    def policy_at(self, us: int) -> Policy:
        """The policy that was in force."""
        return [policy for since, policy in self.policies if since <= us or since == self.policies[0][0]][-1]


def prepared(engine: Engine, settings: Settings, began_us: int, now_us: int) -> World:
    """Put into the books what requests refer to, as far as it is missing."""
    segments = {DEFAULT_SEGMENT: settings.revenue}
    segments |= {name: s.revenue for name, s in settings.segments.items() if s.revenue}
    revenue.sync(engine, segments, now_us)
    pricelist.sync(engine, PRICED, settings.prices, now_us)
    in_force = _policies(engine, settings, began_us, now_us)
    texts = {*SEGMENTS, *COUNTRIES, *ANSWER_TYPES, *MODELS, *LANGUAGE_OF.values(), *OTHER_TEXTS}
    with writing(engine) as connection:
        known, keys = labels(connection, texts), _keys(connection, now_us)
    prices, earnings = PriceBook.load(engine), RevenueBook.load(engine)
    assert earnings.version is not None
    expected = {(s, c): earnings.estimate_revenue(s, c, True)[1] or 0 for s in SEGMENTS for c in COUNTRIES}
    by_name = {name: prices.in_effect(name, now_us) for name in MODELS}
    return World(known, by_name, expected, earnings.version, in_force, keys)


def _policies(engine: Engine, settings: Settings, began_us: int, now_us: int) -> list[tuple[int, Policy]]:
    """The policies of the time that is made up, made up too where there is none."""
    with exclusive(engine) as connection:
        is_new = not connection.scalar(select(func.count()).select_from(PolicyVersion))
        if is_new:
            _make_history(connection, began_us, now_us)
    own_since = began_us + round((now_us - began_us) * OWN_SINCE)
    versions.import_dials(engine, settings.policy.model_dump(), own_since if is_new else now_us)
    with engine.connect() as connection:
        rows = connection.execute(select(PolicyVersion.__table__).order_by(PolicyVersion.version)).all()
        active = versions.newest(connection, state=versions.PolicyState.ACTIVE)
    made = [(row.created_at, versions.policy_of(row.version, row.body)) for row in rows if row.author == AUTHOR]
    own = versions.policy_of(active.version, active.body)
    return [*made, (max(active.created_at, own_since) if made else began_us, own)]


def _make_history(connection: Connection, began_us: int, now_us: int) -> None:
    previous = None
    for share, dials, note in EARLIER:
        at = began_us + round((now_us - began_us) * share)
        told = {"author": AUTHOR, "note": note, "created_at": at}
        row = {"parent": previous, "state": versions.PolicyState.PROPOSED.value, "body": dials, **told}
        version = connection.execute(insert(PolicyVersion).values(**row).returning(PolicyVersion.version)).scalar_one()
        versions.put_in_force(connection, version)
        act = {"act": versions.PolicyAction.ACTIVATED.value, "version": version, "previous": previous, **told}
        connection.execute(insert(PolicyEvent).values(**act))
        previous = version


def _keys(connection: Connection, now_us: int) -> list[int]:
    """The ids of the callers' keys, -1 where there is none; revoked, and no secret fits their hash."""
    found = []
    for name, segment, _ in CALLERS:
        if name is None:
            found.append(-1)
            continue
        full = f"synthetic {name}"
        id = connection.scalar(select(ApiKey.id).where(ApiKey.name == full))
        if id is None:
            row = {
                "name": full,
                "hash": hashlib.sha256(f"no secret: {full}".encode()).hexdigest()[::-1],
                "prefix": "none",
                "segment": segment,
                "scopes": [],
                "allowed_tiers": [],
                "created_at": now_us,
                "revoked_at": now_us,
            }
            id = connection.execute(insert(ApiKey).values(**row).returning(ApiKey.id)).scalar_one()
        found.append(int(id))
    return found
