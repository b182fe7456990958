"""Callbacks of jobs: noted once when a job ends, delivered at least once, tried again for three days.

What is noted survives any kill. Whoever moves the time on at which a callback is due has it for so long; a worker that
dies while it has one loses it when that time comes. Where it goes and what it says is read from the job each time: a
job that was deleted, or whose caller was forgotten, is told nobody.
"""

import hashlib
import hmac
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from sqlalchemy import Engine, Row, bindparam, delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from router.clock import Clock
from router.database.callback_tables import JobCallbackRow
from router.database.engine import patiently, writing
from router.database.upsert import insert_or_nothing
from router.jobs.announcement import EndedJob, read_end, write_event, write_mail
from router.jobs.job import Job
from router.notifications.deliveries import (
    AT_ONCE,
    GIVEN_UP_AFTER_US,
    LEASE_US,
    NotDelivered,
    claim,
    next_try,
    within_time,
)
from router.notifications.mail import MailServer
from router.notifications.posting import PublicPoster
from router.notifications.signatures import sign_headers
from router.types import DAY_US

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
SEND_TOGETHER = 8
CALLBACK_WITHIN_S = 20.0  # a receiver that drips is no delivery
CALLBACKS_KEPT_US = 30 * DAY_US
DUE = (
    select(JobCallbackRow.__table__)
    .where(
        JobCallbackRow.due_at <= bindparam("now_us"),
        JobCallbackRow.created_at > bindparam("oldest_us"),
        JobCallbackRow.way.in_(bindparam("ways", expanding=True)),
    )
    .order_by(JobCallbackRow.due_at)
    .limit(AT_ONCE)
)


class Way(Protocol):
    """A way to tell the caller of a job that it ended."""

    def send(self, job: EndedJob) -> None:
        """Tell it; raises NotDelivered. May be called again for the same job."""
        ...


class WebhookWay:
    """A signed POST. Every key has a secret of its own, made of the server's: who can check cannot forge for others.

    With several secrets each message is signed with all of them, the newest first, so that receivers can change over.
    """

    def __init__(self, secrets: Sequence[bytes], poster: PublicPoster, now_s: Callable[[], int]) -> None:
        self._secrets = secrets
        self._poster = poster
        self._now_s = now_s

    def send(self, job: EndedJob) -> None:
        """Post the event; raises NotDelivered."""
        if job.callback.webhook is not None:
            body, keys = write_event(job), [callback_key(secret, job.key_id) for secret in self._secrets]
            self._poster.post(job.callback.webhook, body, sign_headers(keys, job.event_id, self._now_s(), body))


class MailWay:
    """A mail with the answer, or a link to it."""

    def __init__(self, server: MailServer, sender: str, link: str | None) -> None:
        self._server = server
        self._sender = sender
        self._link = link

    def send(self, job: EndedJob) -> None:
        """Hand the mail in; raises NotDelivered."""
        if job.callback.mail is not None:
            self._server.hand_in(write_mail(job, self._sender, job.callback.mail, self._link))


def callback_key(secret: bytes, key_id: int | None) -> bytes:
    """Make the secret that webhooks of one API key are signed with; None: of callers without one."""
    return hmac.new(secret, f"webhooks of key {key_id}".encode(), hashlib.sha256).digest()


class Callbacks:
    """Notes callbacks, and delivers those that are due from a thread of its own; `find` reads a job."""

    def __init__(
        self, engine: Engine, clock: Clock, find: Callable[[str], Job | None], ways: Mapping[str, Way]
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._find = find
        self._ways = ways
        self._woken = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="callbacks", daemon=True)

    def start(self) -> None:
        """Begin to deliver, where there is any way to."""
        if self._ways:
            self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End; a delivery under way may go on, and is made again by another worker if it is cut."""
        self._is_stopping = True
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    async def tell_end(self, job: Job) -> None:
        """Note that a job ended, once however often it is said; waits for a database that is away."""
        if (ended := read_end(job)) is None:
            return
        await patiently(lambda: self.write(ended))
        self._woken.set()

    def write(self, job: EndedJob) -> None:
        """Note it at once, on this thread; raises SQLAlchemyError."""
        now_us, callback = self._clock.now_us(), job.callback
        wanted = [way for way, target in (("webhook", callback.webhook), ("mail", callback.mail)) if target is not None]
        plain = {"created_at": now_us, "due_at": now_us, "attempts": 0, "delivered_at": None, "last_error": None}
        with writing(self._engine) as connection:
            insert_or_nothing(connection, JobCallbackRow, [{"job_id": job.id, "way": way, **plain} for way in wanted])

    def deliver_due(self) -> int:
        """Deliver what is due, several at a time; returns how many went out. Raises SQLAlchemyError."""
        now_us = self._clock.now_us()
        oldest_us, ways = now_us - GIVEN_UP_AFTER_US, list(self._ways)
        with self._engine.connect() as connection:
            rows = connection.execute(DUE, {"now_us": now_us, "oldest_us": oldest_us, "ways": ways}).all()
        if not rows:
            return 0
        with ThreadPoolExecutor(SEND_TOGETHER, thread_name_prefix="callback") as pool:
            return sum(pool.map(self._deliver, rows))

    def purge(self, before_us: int) -> None:
        """Delete what was noted before an instant; raises SQLAlchemyError."""
        with writing(self._engine) as connection:
            connection.execute(delete(JobCallbackRow).where(JobCallbackRow.created_at < before_us))

    def _deliver(self, row: Row[tuple[object, ...]]) -> bool:
        here = (JobCallbackRow.job_id == row.job_id, JobCallbackRow.way == row.way)
        if not claim(self._engine, JobCallbackRow, here, row.due_at, self._clock.now_us(), LEASE_US):
            return False
        found = self._find(row.job_id)
        job = None if found is None else read_end(found)
        values: dict[str, object] = {"due_at": None}
        if job is None:
            values["last_error"] = "the job is gone"
        else:
            try:
                within_time(lambda: self._ways[row.way].send(job), CALLBACK_WITHIN_S)
                values |= {"delivered_at": self._clock.now_us(), "last_error": None}
            except NotDelivered as error:
                values["last_error"] = str(error)[:500]
                if not error.is_final:
                    values["due_at"] = next_try(row.created_at, row.attempts + 1, self._clock.now_us())
        with writing(self._engine) as connection:
            connection.execute(update(JobCallbackRow).where(*here).values(**values))
        return "delivered_at" in values

    def _run(self) -> None:
        purged_day = 0
        while not self._is_stopping:
            try:
                while self.deliver_due() == AT_ONCE and not self._is_stopping:
                    continue
                if (today := self._clock.now_us() // DAY_US) != purged_day:
                    self.purge(self._clock.now_us() - CALLBACKS_KEPT_US)
                    purged_day = today
            except SQLAlchemyError:
                pass  # the shipping thread says that the database is away
            except Exception:  # what cannot be told now may be next time
                log.exception("callbacks cannot be delivered")
            self._woken.wait(LOOK_EVERY_S)
            self._woken.clear()
