"""Reads a spool forward and hands out requests as they become settled."""

from collections import deque
from collections.abc import Callable, Iterable

from router.ledger.folding import Dossier, settlement
from router.ledger.spool import Spool


class Feed:
    """What of a spool is open, what is ready for the books, and which rows may go when it got there."""

    def __init__(self, spool: Spool) -> None:
        self.ready: deque[Dossier] = deque()
        self.strays = 0
        self._spool = spool
        self._open: dict[str, Dossier] = {}
        self._read_to = 0
        self._arrived: list[int] = []  # rows to delete; kept while the disk is too full even for that

    @property
    def owner(self) -> str:
        """The name under which this worker leases budgets."""
        return self._spool.path.stem

    def pull(self, limit: int) -> int:
        """Read up to so many new rows; returns how many there were."""
        rows = self._spool.read(self._read_to, limit)
        for row in rows:
            self._read_to = row.id
            if not row.entries:
                continue
            request_id = row.entries[0].request_id
            dossier = self._open.get(request_id)
            if dossier is None:
                dossier = self._open[request_id] = Dossier(request_id)
            dossier.rows.append(row.id)
            for entry in row.entries:
                dossier.add(entry)
            self._queue(dossier)
        return len(rows)

    def done(self, dossiers: Iterable[Dossier] = ()) -> None:
        """Forget requests that are in the books; what of them is still under way stays."""
        for dossier in dossiers:
            if dossier.is_settled:
                self._arrived += dossier.rows
                self.strays += dossier.strays
        if self._arrived:
            self._spool.delete(self._arrived)
            self._arrived = []

    def settle_open(self, at_us: int, is_abandoned: Callable[[Dossier], bool]) -> int:
        """Settle the open requests that nobody will end; returns how many there were."""
        abandoned = [dossier for dossier in self._open.values() if is_abandoned(dossier)]
        for dossier in abandoned:
            for entry in settlement(dossier, at_us):
                dossier.add(entry)
            self._queue(dossier)
        return len(abandoned)

    @property
    def open_requests(self) -> int:
        """Requests under way."""
        return len(self._open)

    @property
    def open_rows(self) -> int:
        """Rows of requests that have not ended: they are no lag."""
        return sum(len(dossier.rows) for dossier in self._open.values() if not dossier.is_closed)

    def _queue(self, dossier: Dossier) -> None:
        if dossier.is_settled:
            self._open.pop(dossier.request_id, None)
        if dossier.is_closed and not dossier.is_queued:
            dossier.is_queued = True
            self.ready.append(dossier)
