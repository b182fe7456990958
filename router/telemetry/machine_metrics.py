"""What all workers of a machine have counted: each writes its figures into a file, and a scrape adds them up.

A worker writes once a second, off the path of requests; the one that is scraped adds its own figures as they are at
that moment. Counters and histograms of workers that are gone stay counted, their gauges go. A worker that starts and
finds no other begins anew: a server that was stopped counts from zero, as Prometheus expects of it. Where the files
cannot be had, a worker shows its own figures.
"""

import fcntl
import logging
import math
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import assert_never

import msgspec
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from router.database.private import FILE_MODE, make_directory
from router.ledger.spool import LOCK_SUFFIX, lock
from router.types import AcrossWorkers

log = logging.getLogger(__name__)

WRITE_EVERY_S = 1.0
COUNTS_SUFFIX = ".counts"
GONE = "gone"  # what workers counted that are gone
Labels = tuple[tuple[str, str], ...]


class FamilyCounts(msgspec.Struct):
    """The samples of one metric, by their names and sorted labels; kinds are Prometheus'."""

    name: str
    documentation: str
    kind: str
    samples: dict[str, dict[Labels, float]]


Counts = list[FamilyCounts]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Counts).decode


def counts_of(families: Iterable[Metric]) -> Counts:
    """Take the samples out of metrics."""
    taken = []
    for family in families:
        samples: dict[str, dict[Labels, float]] = {}
        for sample in family.samples:
            samples.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
        taken.append(FamilyCounts(family.name, family.documentation, family.type, samples))
    return taken


def add_up(
    own: Counts, living: Iterable[Counts], gone: Iterable[Counts], across: Mapping[str, AcrossWorkers]
) -> Counts:
    """Put a worker's own figures and those of others together, each metric by its kind and meaning. Pure."""
    families: dict[str, FamilyCounts] = {}
    values: dict[tuple[str, str, Labels], list[float]] = {}
    lives = [(own, True), *((counts, True) for counts in living), *((counts, False) for counts in gone)]
    for counts, is_living in lives:
        for family in counts:
            way = _way(family, across)
            if counts is not own and (way is AcrossWorkers.OWN or not (is_living or way is AcrossWorkers.COUNT)):
                continue
            families.setdefault(family.name, FamilyCounts(family.name, family.documentation, family.kind, {}))
            for name, samples in family.samples.items():
                for labels, value in samples.items():
                    values.setdefault((family.name, name, labels), []).append(value)
    for (family_name, name, labels), found in values.items():
        family = families[family_name]
        is_time = name.endswith("_created")
        way = AcrossWorkers.LEAST if is_time else _way(family, across)
        family.samples.setdefault(name, {})[labels] = _merge(found, way)
    return list(families.values())


def _way(family: FamilyCounts, across: Mapping[str, AcrossWorkers]) -> AcrossWorkers:
    return across.get(family.name, AcrossWorkers.OWN) if family.kind == "gauge" else AcrossWorkers.COUNT


def _merge(values: Sequence[float], way: AcrossWorkers) -> float:
    """Make one figure of several; one that is not known (NaN) counts for nothing."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return math.nan
    match way:
        case AcrossWorkers.OWN:
            return known[0]
        case AcrossWorkers.COUNT | AcrossWorkers.SUM:
            return math.fsum(known)
        case AcrossWorkers.MEAN:
            return math.fsum(known) / len(known)
        case AcrossWorkers.LEAST:
            return min(known)
        case AcrossWorkers.MOST:
            return max(known)
        case _:
            assert_never(way)


class MachineMetrics:
    """The figures of one worker, and of the others that use the same directory.

    `collect` makes the worker's own metrics as they are now; `across` says what becomes of each gauge.
    """

    def __init__(
        self, directory: Path, collect: Callable[[], Iterable[Metric]], across: Mapping[str, AcrossWorkers]
    ) -> None:
        self._directory = directory
        self._collect = collect
        self._across = across
        self._path = directory / f"{os.getpid()}-{secrets.token_hex(4)}{COUNTS_SUFFIX}"
        self._lock_file: int | None = None
        self._written = b""
        self._has_failed = False
        self._mutex = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Take a place among the workers of the machine, and begin to write."""
        try:
            make_directory(self._directory)
            with self._hold(fcntl.LOCK_EX):
                self._keep_counts_of_the_dead()
                self._lock_file = lock(self._path)
        except OSError as error:
            log.warning("%s: %s; metrics are those of the worker that is asked", self._directory, error.strerror)
            return
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Write for the last time, and leave."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def scrape(self) -> bytes:
        """Write the figures of all workers in Prometheus' text format; reads files."""
        with self._mutex:
            own = counts_of(self._collect())
        living: list[Counts] = []
        gone: list[Counts] = []
        try:
            if self._lock_file is not None:
                with self._hold(fcntl.LOCK_SH):
                    for path in self._others():
                        (gone if _is_gone(path) else living).append(_read(path))
        except OSError as error:
            self._tell(error)
        return _format(add_up(own, living, gone, self._across))

    def write(self) -> None:
        """Write the worker's own figures where they have changed; whoever reads has the old ones or the new ones."""
        with self._mutex:
            counts = _encode(counts_of(self._collect()))
            if counts == self._written:
                return
            try:
                _replace(self._path, counts)
            except OSError as error:
                self._tell(error)
            else:
                self._written, self._has_failed = counts, False

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._turn()
            self._stopping.wait(WRITE_EVERY_S)
        self._turn()

    def _turn(self) -> None:
        try:
            self.write()
        except Exception as error:  # a figure that cannot be read now may be next time
            if not self._has_failed:
                log.exception("metrics cannot be read: %s", error)
            self._has_failed = True

    def _tell(self, error: OSError) -> None:
        if not self._has_failed:
            log.warning("metrics are not shared with the other workers for now: %s", error.strerror)
        self._has_failed = True

    def _others(self) -> list[Path]:
        return [path for path in sorted(self._directory.glob(f"*{COUNTS_SUFFIX}")) if path != self._path]

    def _keep_counts_of_the_dead(self) -> None:
        """Put what the dead counted into one file; where nobody lives, everything begins anew."""
        others = self._others()
        dead = [path for path in others if _is_gone(path)]
        if dead and len(dead) < len(others):
            gone = add_up([], [], [_read(path) for path in dead], self._across)
            _replace(self._directory / f"{GONE}{COUNTS_SUFFIX}", _encode(gone))
        for path in dead:
            if path.stem != GONE or len(dead) == len(others):
                path.unlink(missing_ok=True)
                path.with_suffix(LOCK_SUFFIX).unlink(missing_ok=True)

    @contextmanager
    def _hold(self, kind: int) -> Iterator[None]:
        """Hold the directory's lock: shared to read, exclusive to take files away."""
        descriptor = os.open(self._directory / "directory", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


class _Families(Collector):
    """What has been added up, as metrics."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Make the metrics anew."""
        for one in self._counts:
            family = Metric(one.name, one.documentation, one.kind)
            for name, values in one.samples.items():
                for labels, value in values.items():
                    family.add_sample(name, dict(labels), value)
            yield family


def _format(counts: Counts) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(counts))
    return generate_latest(registry)


def _is_gone(path: Path) -> bool:
    """Tell whether nobody holds the lock of a file of counts any more; who asks does not keep others from asking."""
    if path.stem == GONE:
        return True
    descriptor = lock(path, fcntl.LOCK_SH)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def _read(path: Path) -> Counts:
    """Read a worker's figures; of one that is damaged there are none."""
    try:
        return _decode(path.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return []


def _replace(path: Path, content: bytes) -> None:
    made = path.with_suffix(".new")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(made, path)
