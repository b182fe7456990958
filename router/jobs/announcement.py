"""What is said when a background job has ended: an event for programs, a mail for people. Pure.

Every attempt says the same under the same id: receivers tell doubles by it.
"""

from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape

import msgspec

from router.jobs.callback import Callback
from router.jobs.job import Job, JobStatus

CUT = ("length", "content_filter")  # an answer that ended so is not whole
LONGEST_TEXT = 200_000  # characters of an answer in a mail
TITLES = {
    "completed": "Your answer is ready",
    "incomplete": "Your answer is as far as it came",
    "failed": "Your question could not be answered",
    "cancelled": "Your question was called off",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body style="font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 44em; margin: 1.5em auto; padding: 0 1em">
<h1 style="font-size: 1.25em">{title}</h1>
{parts}
<p style="color: #666; font-size: .85em">{footer}</p>
</body></html>
"""


class EndedJob(msgspec.Struct, frozen=True):
    """A job that ended, as far as it is told; the instant in microseconds since the epoch."""

    id: str
    key_id: int | None
    status: str  # completed, failed, cancelled, incomplete
    ended_us: int
    callback: Callback
    answer: str | None = None
    error: str | None = None

    @property
    def event_id(self) -> str:
        """The id that every attempt carries."""
        return f"evt_{self.id.removeprefix('resp_')}"


def read_end(job: Job) -> EndedJob | None:
    """Read what is told of a job; None while it works, and where nobody is to be told."""
    if job.callback is None or job.finished_at is None or not job.status.is_final:
        return None
    choice = job.answer.choices[0] if job.answer is not None and job.answer.choices else None
    is_cut = choice is not None and choice.finish_reason in CUT and job.status is JobStatus.COMPLETED
    return EndedJob(
        job.id,
        job.key_id,
        JobStatus.INCOMPLETE.word if is_cut else job.status.word,
        job.finished_at,
        msgspec.convert(job.callback, Callback),
        (choice.content or choice.refusal) if choice is not None else None,
        job.error["message"] if job.error else None,
    )


def write_event(job: EndedJob) -> bytes:
    """Write the body of a webhook, in the form of OpenAI's."""
    about: dict[str, object] = {"id": job.id}
    if job.callback.include_answer:
        about |= {"output_text": job.answer, "error": job.error}
    event = {
        "object": "event",
        "id": job.event_id,
        "type": f"response.{job.status}",
        "created_at": job.ended_us // 1_000_000,
        "data": about,
    }
    return msgspec.json.encode(event)


def write_mail(job: EndedJob, sender: str, recipient: str, link: str | None) -> EmailMessage:
    """Write the mail, as text and as HTML; `link` has `{id}` where the response's id goes."""
    title, said = TITLES[job.status], _answer_of(job)
    address = None if link is None else link.replace("{id}", job.id)
    footer = f"Response {job.id}, {job.status} at {_describe_time(job.ended_us)}."
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, recipient, title
    mail["Date"] = format_datetime(datetime.fromtimestamp(job.ended_us // 1_000_000, UTC))
    mail["Message-ID"] = f"<{job.event_id}@jobs.tierwise>"
    mail["Auto-Submitted"] = "auto-generated"
    texts = [f"{title}.", said, None if address is None else f"Read it here: {address}", footer]
    mail.set_content("\n\n".join(text for text in texts if text))
    parts = []
    if said:
        parts.append(f'<div style="white-space: pre-wrap">{escape(said)}</div>')
    if address is not None:
        parts.append(f'<p><a href="{escape(address)}">Read it here</a></p>')
    page = PAGE.format(title=escape(title), parts="\n".join(parts), footer=escape(footer))
    mail.add_alternative(page, subtype="html")
    return mail


def _answer_of(job: EndedJob) -> str | None:
    if job.callback.include_answer is False:
        return None
    said = "\n\n".join(text for text in (job.answer, job.error) if text)
    cut = "\n\n[The rest is left out; read the response itself.]"
    return said if len(said) <= LONGEST_TEXT else said[:LONGEST_TEXT] + cut


def _describe_time(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
