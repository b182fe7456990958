"""What a page is made of: a function that shows it, changes that its forms ask for, and the JSON that its script reads.

All of these are plain blocking functions of a `Visit`; `router.admin.site` runs them in a thread, after it has checked
who is there. A page named `prices` is /admin/prices, `templates/prices.html` and, where there is one,
`static/prices.js`; its changes are POST /admin/prices/ACT, its JSON is /admin/api/prices/....
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from sqlalchemy import Connection

from router.admin import audit
from router.admin.auth.secrets import AdminRole
from router.admin.auth.sessions import Session
from router.admin.services import Services
from router.database.engine import AuditHook
from router.reports.window import Window, window


class NotDone(ValueError):
    """A change that was asked for was not made; the message says why, in the operator's terms."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is signed in. `given` holds a form's fields, `body` a script's JSON."""

    services: Services
    session: Session
    address: str
    zone: tzinfo
    zone_name: str
    query: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    with_made_up: bool | None = None  # as a window has it

    @property
    def is_admin(self) -> bool:
        """Whether this operator may make changes."""
        return self.session.role is AdminRole.ADMIN

    @property
    def actor(self) -> str:
        """The name that goes into logs."""
        return self.session.actor

    def window(self, since: str | None, until: str | None = None) -> Window:
        """A stretch of time up to now in the operator's zone; raises WrongWindow."""
        now = datetime.fromtimestamp(self.services.now_us() / 1e6, UTC)
        return replace(window(since, until, self.zone_name, now), with_made_up=self.with_made_up)

    def text(self, name: str, longest: int = 1_000) -> str:
        """A form's field without the spaces around it; empty when it was not sent. Raises NotDone."""
        text = self.given.get(name, "").strip()
        if len(text) > longest or "\x00" in text:
            raise NotDone(f"{name.replace('_', ' ')}: at most {longest} characters")
        return text

    def hook(self, act: str, target: str, note: str = "") -> AuditHook:
        """Make what writes a change of this visit into the log, in the change's own transaction."""

        def write(connection: Connection, before: audit.Facts, after: audit.Facts) -> None:
            now_us, role = self.services.now_us(), self.session.role
            audit.add(
                connection, self.actor, act, target, before, after, now_us, role=role, address=self.address, note=note
            )

        return write


@dataclass(frozen=True, slots=True)
class Done:
    """A change was made: go to a page (a path below /admin/) and say so there."""

    message: str
    to: str


@dataclass(frozen=True, slots=True)
class DoneInPlace:
    """A change was made whose outcome is shown once, here and now: more for the page's own template."""

    context: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class FormAction:
    """A change that a form asks for; administrators only. Raises NotDone, or a ValueError with a message."""

    name: str
    run: Callable[[Visit], Done | DoneInPlace]


@dataclass(frozen=True, slots=True)
class JsonFeed:
    """JSON for a script at /admin/api/PATH. A POST carries JSON and the CSRF token; `changes` is for administrators."""

    path: str
    run: Callable[[Visit], object]
    method: str = "GET"
    changes: bool = False


@dataclass(frozen=True, slots=True)
class CsvRows:
    """What a page shows, as rows for a table program, and of which window it is."""

    window: Window
    columns: Sequence[str]
    rows: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A page as a file at /admin/PAGE.csv, with the page's own filters."""

    run: Callable[[Visit], CsvRows]


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `show` returns what its template needs; `is_listed` puts it into the navigation.

    Its address is its name, where it has no other.
    """

    name: str
    title: str
    show: Callable[[Visit], Mapping[str, object]]
    acts: tuple[FormAction, ...] = ()
    feeds: tuple[JsonFeed, ...] = ()
    csv: CsvFile | None = None
    is_listed: bool = True
    address: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", self.address or self.name)
