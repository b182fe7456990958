"""The books as a start finds them: there, with what the settings say of them brought in, or as they were last known."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from router.clock import SystemClock
from router.database import last_known, schema
from router.database.engine import BooksReplaced, DatabaseAway, DatabaseUnusable, open_engine
from router.ledger import pricelist, revenue
from router.ledger.prices import PriceBook
from router.ledger.revenue import RevenueBook
from router.policies import versions
from router.settings import Settings, WrongSetting
from router.types import DEFAULT_SEGMENT

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenBooks:
    """The database with its prices and revenue; where it is away, `last_known` is what was known of it, in memory."""

    engine: Engine
    prices: PriceBook
    revenue: RevenueBook
    last_known: Engine | None = None
    known_at_us: int = 0

    @classmethod
    def at_start(cls, settings: Settings, clock: SystemClock) -> Self:
        """Open the books; raises DatabaseUnusable, and WrongSetting where a price is required and there is none."""
        try:
            engine = schema.ready_engine(settings.database_url)
        except DatabaseAway as error:
            found = last_known.load(settings.state_dir)
            if found is None:
                raise
            known, at_us = found
            since = datetime.fromtimestamp(at_us // 1_000_000, UTC).isoformat()
            log.error(
                "STARTING WITHOUT THE DATABASE, with policy, keys and prices as they were at %s: %s", since, error
            )
            engine = open_engine(settings.database_url)
            return cls(engine, PriceBook.load(known), RevenueBook.load(known), known, at_us)
        _bring_in(engine, settings, clock.now_us())
        prices = PriceBook.load(engine)
        unpriced = prices.find_unpriced(settings.model_names(), clock.now_us())
        if unpriced and settings.require_prices:
            raise WrongSetting(f"require_prices: {', '.join(unpriced)} has no price; give one in [prices]")
        return cls(engine, prices, RevenueBook.load(engine))

    def read(self, follow: Callable[[], None]) -> None:
        """Read what a start can do without where the books are away."""
        try:
            follow()
        except SQLAlchemyError:
            if self.last_known is None:
                raise

    def welcome_back(self, settings: Settings, now_us: int) -> None:
        """Bring the settings into the books that are back; raises SQLAlchemyError where they are not those known."""
        try:
            state = schema.check(self.engine)
        except DatabaseUnusable as error:
            raise SQLAlchemyError(error.message) from None
        if state not in schema.USABLE:
            raise BooksReplaced(schema.ADVICE.get(state, "the database that is back is empty"))
        assert self.last_known is not None
        if last_known.books_id(self.engine) != last_known.books_id(self.last_known):
            raise BooksReplaced("the database that is back is not the one that was known; start anew to use it")
        _bring_in(self.engine, settings, now_us)
        log.warning("the database is back; what was spooled is shipped")


def _bring_in(engine: Engine, settings: Settings, now_us: int) -> None:
    """Bring what the settings say of policies, prices and revenue into the books, where it changed."""
    versions.import_dials(engine, settings.policy.model_dump(), now_us)
    segments = {DEFAULT_SEGMENT: settings.revenue}
    segments |= {name: segment.revenue for name, segment in settings.segments.items() if segment.revenue}
    revenue.sync(engine, segments, now_us)
    pricelist.sync(engine, settings.model_names(), settings.prices, now_us)
