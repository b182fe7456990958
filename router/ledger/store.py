"""Writes settled requests into the books: one transaction a batch, and a second arrival changes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, Engine, func, select

from router.database.books_tables import BooksId
from router.database.engine import BooksReplaced, require_same_file, writing
from router.database.tables import LabelText
from router.database.upsert import insert_or_nothing, insert_structs_or_nothing
from router.ledger import budgets, job_calls
from router.ledger.folding import RequestRecord
from router.ledger.learning_rows import DuelRow, FeatureRowRow, VoteRow, duel_row, feature_row, vote_row
from router.ledger.rows import CallRow, RawUsageRow, RequestRow, call_row, request_row

TABLES: dict[type[msgspec.Struct], str] = {RequestRow: "requests", CallRow: "calls", RawUsageRow: "raw_usage"}
TABLES |= {FeatureRowRow: "feature_rows", DuelRow: "duels", VoteRow: "votes"}
MOST_LABELS = 30_000  # labels are small integers; whatever comes after so many counts as one
OTHER = "(other)"
THESE_BOOKS = select(BooksId.id)


class Store:
    """The books' database, as the shipping thread sees it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._labels: dict[str, int] = {}
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._books: str | None = None  # which books these are, once something was looked up in them

    def record(self, records: Sequence[RequestRecord], recorded_at: int, owner: str = "") -> None:
        """Book what is settled of these requests; raises SQLAlchemyError, and they stay in the spool.

        What it cost moves from the owner's leases on budgets to what is settled of them, that of a job from the job's.
        """
        self._learn_labels(records)
        if any(job_calls.may_be_of_job(record) for record in records):
            self._record_jobs(records, recorded_at, owner)
        else:
            rows = self._rows_of(records, recorded_at, self._labels)
            with writing(self._engine) as connection:
                self._require_same_books(connection)
                due = budgets.charges(connection, records)
                rows.insert(connection)
                budgets.settle(connection, due, owner)
        require_same_file(self._engine)  # what was committed to a file that is gone is not in the books

    def _record_jobs(self, records: Sequence[RequestRecord], recorded_at: int, owner: str) -> None:
        """Book records among which some are of background jobs."""
        with writing(self._engine) as connection:
            self._require_same_books(connection)
            found = job_calls.sort(connection, records)
            due = budgets.charges(connection, found.ordinary)
            of_jobs = [(record, budgets.charges(connection, [record])) for record in (*found.closing, *found.late)]
            known = self._labels | labels(connection, _texts_of_calls(found.closing) - self._labels.keys())
            booked = [*found.ordinary, *found.closing, *found.late]
            self._rows_of(booked, recorded_at, known).insert(connection)
            budgets.settle(connection, due, owner)
            for record, due_of_job in of_jobs:
                budgets.settle(connection, due_of_job, job_calls.owner_of(record.request_id))
            for record in found.closing:
                job_calls.close(connection, record, recorded_at)

    def _rows_of(self, records: Sequence[RequestRecord], recorded_at: int, label: Mapping[str, int]) -> "_Rows":
        rows = _Rows()
        for record in records:
            key = bytes.fromhex(record.request_id) if self._is_sqlite else record.request_id
            if record.opening and record.closing:
                rows.requests.append(request_row(key, record.opening, record.closing, recorded_at, label))
            if record.features:
                rows.features.append(feature_row(key, record.features, self._is_sqlite))
            if record.verdict:
                rows.duels.append(duel_row(key, record.verdict))
            if record.vote:
                rows.votes.append(vote_row(key, record.vote, label))
            for intent, result in record.calls_with_results():
                rows.calls.append(call_row(key, intent, result, recorded_at, label))
                if result.raw_usage is not None:
                    rows.raw.append(RawUsageRow(key, result.call_no, msgspec.json.encode(result.raw_usage).decode()))
        return rows

    def remember_books(self) -> None:
        """Note which books these are, so that nothing is ever booked in others; raises SQLAlchemyError."""
        with self._engine.connect() as connection:
            self._require_same_books(connection)

    def _require_same_books(self, connection: Connection) -> None:
        found = connection.scalar(THESE_BOOKS)
        if self._books is None:
            self._books = found
        elif found != self._books:
            raise BooksReplaced("these are not the books that were opened: put them back, or start anew to use these")

    def _learn_labels(self, records: Sequence[RequestRecord]) -> None:
        wanted: set[str] = set()
        for record in records:
            if o := record.opening:
                wanted |= {o.segment, o.country, o.requested_model, o.classifier_version, o.answer_type}
                if o.language is not None:
                    wanted.add(o.language)
            if v := record.vote:
                wanted |= {v.models, v.answer_type, v.stop_reason} | ({v.judge} if v.judge is not None else set())
        wanted |= _texts_of_calls(records)
        if new := wanted - self._labels.keys():
            with writing(self._engine) as connection:  # committed apart, so that what is remembered is there
                numbers = labels(connection, new)
            self._labels |= numbers


@dataclass(slots=True)
class _Rows:
    """The rows of one batch."""

    requests: list[RequestRow] = field(default_factory=list)
    calls: list[CallRow] = field(default_factory=list)
    raw: list[RawUsageRow] = field(default_factory=list)
    features: list[FeatureRowRow] = field(default_factory=list)
    duels: list[DuelRow] = field(default_factory=list)
    votes: list[VoteRow] = field(default_factory=list)

    def insert(self, connection: Connection) -> None:
        """Insert what is not there yet."""
        for rows in (self.requests, self.calls, self.raw, self.features, self.duels, self.votes):
            insert_new(connection, rows)


def _texts_of_calls(records: Iterable[RequestRecord]) -> set[str]:
    texts: set[str] = set()
    for record in records:
        texts.update(intent.provider_model for intent in record.intents.values())
        texts.update(result.service for result in record.results.values() if result.service is not None)
    return texts


def insert_new(connection: Connection, rows: Sequence[msgspec.Struct]) -> None:
    """Insert rows whose key is not there yet."""
    if rows:
        insert_structs_or_nothing(connection, TABLES[type(rows[0])], rows)


def labels(connection: Connection, texts: Iterable[str]) -> dict[str, int]:
    """Find the labels of texts, making those that do not exist."""
    wanted = sorted(set(texts))
    known = _read_labels(connection, wanted)
    if missing := [text for text in wanted if text not in known]:
        room = max(MOST_LABELS - (connection.scalar(select(func.count()).select_from(LabelText)) or 0), 0)
        made = missing[:room] if room >= len(missing) else [*missing[:room], *_find_missing(connection, [OTHER])]
        insert_or_nothing(connection, LabelText, [{"text": text} for text in made])
        known |= _read_labels(connection, [*wanted, OTHER])
        known |= {text: known[OTHER] for text in missing if text not in known}
    return {text: known[text] for text in wanted}


def _read_labels(connection: Connection, texts: Sequence[str]) -> dict[str, int]:
    query = select(LabelText.text, LabelText.id).where(LabelText.text.in_(texts))
    return {row.text: row.id for row in connection.execute(query)}


def _find_missing(connection: Connection, texts: Sequence[str]) -> list[str]:
    known = _read_labels(connection, texts)
    return [text for text in texts if text not in known]
