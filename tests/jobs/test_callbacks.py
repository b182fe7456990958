"""Callbacks of jobs: noted once, delivered at least once, signed so that receivers can check it."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import msgspec
import openai
import pytest
from openai.types.webhooks import ResponseCompletedWebhookEvent
from sqlalchemy import Engine, select

from router.database.callback_tables import JobCallbackRow
from router.jobs.announcement import EndedJob, read_end, write_event, write_mail
from router.jobs.callback import Callback
from router.jobs.callbacks import Callbacks, MailWay, WebhookWay, callback_key
from router.jobs.job import Job, JobStatus
from router.notifications.deliveries import BACKOFF_S, GIVEN_UP_AFTER_US
from router.notifications.mail import MailServer
from router.notifications.posting import PublicPoster
from router.notifications.signatures import write_secret
from router.providers.base import Choice
from router.tiers.base import Answer
from router.types import Tier
from tests.ledger.builders import NOON, FakeClock
from tests.notifications.test_webhooks import Receiver, receiving

NEW, OLD = bytes(range(32)), bytes(range(32, 64))
JOB_ID = f"resp_{'0' * 31}7"


def a_job(
    callback: Callback, status: JobStatus = JobStatus.COMPLETED, text: str | None = "42 <b>\nis it", why: str = "stop"
) -> Job:
    answer = None if text is None else Answer([Choice(content=text, finish_reason=why)], Tier.PARALLEL, "model", 0)
    error = {"code": "server_error", "message": "no model answered"} if status is JobStatus.FAILED else None
    return Job(
        JOB_ID, 7, "default", status, "default", 50, NOON, NOON, 60, {}, {}, finished_at=NOON,
        answer=answer, error=error, callback=msgspec.to_builtins(callback),
    )  # fmt: skip


def end_of(job: Job) -> EndedJob:
    ended = read_end(job)
    assert ended is not None
    return ended


def an_end(callback: Callback, status: JobStatus = JobStatus.COMPLETED, **changes: Any) -> EndedJob:
    return end_of(a_job(callback, status, **changes))


def a_way(clock: FakeClock | None = None, *secrets: bytes) -> WebhookWay:
    now_s = (lambda: int(time.time())) if clock is None else (lambda: clock.now_us() // 1_000_000)
    return WebhookWay(secrets or (NEW,), PublicPoster(allows_private=True), now_s)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def rows(engine: Engine) -> list[JobCallbackRow]:
    with engine.connect() as connection:
        return list(connection.execute(select(JobCallbackRow.__table__)))  # type: ignore[arg-type]


def test_openais_own_client_takes_the_event(receiver: Receiver) -> None:
    a_way().send(an_end(Callback(webhook=receiver.url)))
    [(headers, body)] = receiver.got
    client = openai.OpenAI(api_key="none", webhook_secret=write_secret(callback_key(NEW, 7)))
    event = client.webhooks.unwrap(body, headers)
    assert isinstance(event, ResponseCompletedWebhookEvent)
    assert (event.type, event.data.id, event.created_at) == ("response.completed", JOB_ID, NOON // 1_000_000)
    assert event.id == headers["webhook-id"]
    for other in (callback_key(NEW, 8), callback_key(OLD, 7), NEW):  # who can check for one key cannot for another
        with pytest.raises(openai.InvalidWebhookSignatureError):
            client.webhooks.unwrap(body, headers, secret=write_secret(other))


def test_while_secrets_change_both_sign(receiver: Receiver) -> None:
    a_way(None, NEW, OLD).send(an_end(Callback(webhook=receiver.url)))
    [(headers, body)] = receiver.got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = [
        "v1," + base64.b64encode(hmac.new(callback_key(secret, 7), signed, hashlib.sha256).digest()).decode()
        for secret in (NEW, OLD)
    ]
    assert headers["webhook-signature"].split(" ") == expected


@pytest.mark.parametrize("status", [one for one in JobStatus if one.is_final])
def test_the_answer_is_sent_only_to_who_asks_for_it(status: JobStatus) -> None:
    plain = json.loads(write_event(an_end(Callback(webhook="u"), status)))
    full = json.loads(write_event(an_end(Callback(webhook="u", include_answer=True), status)))
    assert (plain["type"], plain["data"]) == (f"response.{status.word}", {"id": JOB_ID})
    assert full["data"]["output_text"] == "42 <b>\nis it"


def test_it_is_tried_again_with_the_same_words_by_whichever_worker_is_there(engine: Engine) -> None:
    clock = FakeClock()
    with receiving(500, 302) as receiver:
        job = a_job(Callback(webhook=receiver.url))

        def a_worker() -> Callbacks:
            return Callbacks(engine, clock, lambda job_id: job, {"webhook": a_way(clock)})

        for _ in range(2):
            a_worker().write(end_of(job))
        assert [a_worker().deliver_due(), a_worker().deliver_due()] == [0, 0]
        clock.advance(BACKOFF_S[0])
        assert a_worker().deliver_due() == 0
        assert [(row.attempts, row.last_error) for row in rows(engine)] == [(2, "HTTP 302")]
        clock.advance(BACKOFF_S[1])
        assert a_worker().deliver_due() == 1
    assert len({(headers["webhook-id"], body) for headers, body in receiver.got}) == 1
    [row] = rows(engine)
    assert (row.due_at, row.attempts, row.last_error) == (None, 3, None)


def test_a_worker_that_died_with_it_loses_it(engine: Engine, receiver: Receiver) -> None:
    clock = FakeClock()
    job = a_job(Callback(webhook=receiver.url))

    class Died(BaseException):
        """As from a kill: nothing is written after it."""

    class Dying:
        def send(self, job: EndedJob) -> None:
            raise Died

    first = Callbacks(engine, clock, lambda job_id: job, {"webhook": Dying()})
    first.write(end_of(job))
    with pytest.raises(Died):
        first.deliver_due()
    second = Callbacks(engine, clock, lambda job_id: job, {"webhook": a_way(clock)})
    assert second.deliver_due() == 0
    clock.advance(61)
    assert second.deliver_due() == 1


def test_two_workers_tell_it_once(engine: Engine, receiver: Receiver) -> None:
    clock = FakeClock()
    job = a_job(Callback(webhook=receiver.url))
    workers = [Callbacks(engine, clock, lambda job_id: job, {"webhook": a_way(clock)}) for _ in range(2)]
    workers[0].write(end_of(job))
    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(Callbacks.deliver_due, workers)) == 1
    assert len(receiver.got) == 1


@pytest.mark.parametrize("why", ["too old", "gone"])
def test_after_three_days_or_where_nobody_is_any_more_it_is_given_up(sqlite_engine: Engine, why: str) -> None:
    clock = FakeClock()
    with receiving(*[410 if why == "gone" else 500] * 2) as receiver:
        job = a_job(Callback(webhook=receiver.url))
        callbacks = Callbacks(sqlite_engine, clock, lambda job_id: job, {"webhook": a_way(clock)})
        callbacks.write(end_of(job))
        if why == "too old":
            clock.advance(GIVEN_UP_AFTER_US / 1e6 - 1)
        assert callbacks.deliver_due() == 0
        [row] = rows(sqlite_engine)
        assert (row.due_at, row.delivered_at) == (None, None)


def test_of_a_job_that_is_gone_nobody_is_told(sqlite_engine: Engine, receiver: Receiver) -> None:
    callbacks = Callbacks(sqlite_engine, FakeClock(), lambda job_id: None, {"webhook": a_way()})
    callbacks.write(an_end(Callback(webhook=receiver.url)))
    assert callbacks.deliver_due() == 0
    assert receiver.got == []
    assert receiver.url not in str(rows(sqlite_engine))


def a_mail(job: EndedJob, link: str | None = None) -> EmailMessage:
    return write_mail(job, "tierwise@example.org", "ada@example.org", link)


def parts_of(mail: EmailMessage) -> tuple[str, str]:
    read = message_from_bytes(mail.as_bytes(), policy=policy.default)
    text, page = read.get_body(("plain",)), read.get_body(("html",))
    assert text is not None
    assert page is not None
    return text.get_content(), page.get_content()


def test_a_mail_has_the_answer_as_text_and_escaped_as_a_page() -> None:
    said, link = "<script>alert(1)</script> 😀", "https://c.example.org/a?id={id}&x=1"
    mail = a_mail(an_end(Callback(mail="a"), text=said), link)
    text, page = parts_of(mail)
    assert "<script>alert(1)</script> 😀" in text
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 😀" in page
    assert f'href="https://c.example.org/a?id={JOB_ID}&amp;x=1"' in page
    assert (mail["subject"], mail["auto-submitted"]) == ("Your answer is ready", "auto-generated")


def test_a_mail_may_have_the_link_alone_and_says_why_there_is_no_answer() -> None:
    bare, _ = parts_of(a_mail(an_end(Callback(mail="a", include_answer=False)), "https://c.example.org/{id}"))
    failed, _ = parts_of(a_mail(an_end(Callback(mail="a"), JobStatus.FAILED, text=None)))
    assert "42" not in bare
    assert f"https://c.example.org/{JOB_ID}" in bare
    assert "no model answered" in failed


def test_a_mail_is_handed_in(sqlite_engine: Engine) -> None:
    pytest.importorskip("aiosmtpd", reason="installed with the extra `test`")
    from aiosmtpd.controller import Controller

    from tests.notifications.test_mail import Mailbox, a_free_port

    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=a_free_port())
    controller.start()
    try:
        way = MailWay(MailServer("127.0.0.1", controller.port, "none"), "tierwise@example.org", None)
        job = a_job(Callback(mail="ada@example.org"))
        callbacks = Callbacks(sqlite_engine, FakeClock(), lambda job_id: job, {"mail": way})
        callbacks.write(end_of(job))
        assert callbacks.deliver_due() == 1
    finally:
        controller.stop()
    [envelope] = mailbox.envelopes
    assert envelope.rcpt_tos == ["ada@example.org"]


def test_an_answer_that_was_cut_off_is_told_as_incomplete_and_one_that_works_not_at_all() -> None:
    assert an_end(Callback(webhook="u"), why="length").status == "incomplete"
    assert read_end(a_job(Callback(webhook="u"), JobStatus.IN_PROGRESS)) is None
