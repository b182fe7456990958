"""A thread that reads again, twice a second, what every worker has to follow within two seconds.

It is not the shipping thread, which may be busy with a backlog of books for longer than that.
"""

import logging
import threading
from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

INTERVAL_S = 0.5


class Refresher:
    """Calls each of `refreshes` again and again; when one fails, what it read last stays.

    An error of a type in `quiet` is not logged: someone else says that the database is away.
    """

    def __init__(
        self,
        refreshes: Sequence[Callable[[], None]],
        *,
        quiet: tuple[type[Exception], ...] = (),
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._refreshes = refreshes
        self._quiet = quiet
        self._interval_s = interval_s
        self._failures: dict[int, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End; blocks until the last reading is over."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def turn(self) -> None:
        """Read everything once; what cannot be read is logged once, and tried again next time."""
        for place, refresh in enumerate(self._refreshes):
            try:
                refresh()
            except self._quiet:
                continue
            except Exception as error:  # one wrong row must not keep the rest from being followed
                if self._failures.get(place) != str(error):
                    log.exception("%r failed", refresh)
                self._failures[place] = str(error)
            else:
                self._failures.pop(place, None)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.turn()
