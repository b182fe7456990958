"""The client of a request as our own server sees it: whether all of its body is there, and when it goes away.

ASGI tells of both only to who waits for it, which takes a timer and a task for each request. Under another server there
is no `Presence`, and they are what is used.
"""

import asyncio
from collections.abc import Callable

from starlette.types import Scope

STATE = "presence"  # its name in the state of a request


class Presence:
    """The client of one request; `resume_reading` is how its connection goes on after a large body."""

    def __init__(self, resume_reading: Callable[[], None]) -> None:
        self.has_sent_all = False
        self._is_gone = False
        self._resume_reading = resume_reading
        self._tell: Callable[[], None] | None = None

    def watch(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when the client goes away, or soon where it has gone."""
        self._tell = tell
        self._resume_reading()  # what is not read tells nothing
        if self._is_gone:
            asyncio.get_running_loop().call_soon(self.leave)

    def stop(self) -> None:
        """Call nobody any more."""
        self._tell = None

    def leave(self) -> None:
        """The client has gone away."""
        self._is_gone = True
        if self._tell is not None:
            self._tell()


def presence_of(scope: Scope) -> Presence | None:
    """Find the presence of a request's client; None where the server is not ours."""
    found = scope.get("state", {}).get(STATE)
    return found if isinstance(found, Presence) else None
