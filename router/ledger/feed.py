"""Reads a spool forward and hands out requests as they become settled."""

from collections import deque
from collections.abc import Callable, Iterable

from router.ledger.entries import CallResult
from router.ledger.folding import RequestRecord, settlement
from router.ledger.spool import Spool


class SpoolReader:
    """What of a spool is open, what is ready for the books, and which rows may go when it got there."""

    def __init__(self, spool: Spool) -> None:
        self.ready: deque[RequestRecord] = deque()
        self.strays = 0
        self._spool = spool
        self._open: dict[str, RequestRecord] = {}
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
            record = self._open.get(request_id)
            if record is None:
                record = self._open[request_id] = RequestRecord(request_id)
            record.rows.append(row.id)
            for entry in row.entries:
                record.add(entry)
            self._queue(record)
        return len(rows)

    def acknowledge(self, records: Iterable[RequestRecord] = ()) -> None:
        """Forget requests that are in the books; what of them is still under way stays."""
        for record in records:
            if record.is_settled:
                self._arrived += record.rows
                self.strays += record.strays
        if self._arrived:
            self._spool.delete(self._arrived)
            self._arrived = []

    def take_results(self, results_of: Callable[[str], Iterable[CallResult]]) -> None:
        """Take in what is known elsewhere of calls that are open here: those of background jobs have no opening."""
        for record in list(self._open.values()):
            if record.opening is None and len(record.results) < len(record.intents):
                for result in results_of(record.request_id):
                    record.add(result)
                self._queue(record)

    def settle_open(self, at_us: int, is_abandoned: Callable[[RequestRecord], bool]) -> int:
        """Settle the open requests that nobody will end; returns how many there were."""
        abandoned = [record for record in self._open.values() if is_abandoned(record)]
        for record in abandoned:
            for entry in settlement(record, at_us):
                record.add(entry)
            self._queue(record)
        return len(abandoned)

    @property
    def open_requests(self) -> int:
        """Requests under way."""
        return len(self._open)

    @property
    def open_rows(self) -> int:
        """Rows of requests that have not ended: they are no lag."""
        return sum(len(record.rows) for record in self._open.values() if not record.is_closed)

    def _queue(self, record: RequestRecord) -> None:
        if record.is_settled:
            self._open.pop(record.request_id, None)
        if record.is_closed and not record.is_queued:
            record.is_queued = True
            self.ready.append(record)
