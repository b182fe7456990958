"""The figures of all workers of a machine, whichever of them is asked."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from router.ledger.shipping import ShippingState
from router.metrics import Metrics
from router.telemetry.machine_metrics import MachineMetrics
from router.types import Decision, Outcome, Reason, Tier

DECISION = Decision(Tier.FAST, Reason.BELOW_THRESHOLD, 0.1, 0.25, 1)


class Worker:
    """One of several workers, in this process."""

    def __init__(self, directory: Path) -> None:
        self.metrics = Metrics()
        self.shared = MachineMetrics(directory, self.metrics.registry.collect, self.metrics.across)
        self.shared.start()

    def serve(self, requests: int, lag_entries: int = 0, lag_seconds: float = 0.0, *, database_ok: bool = True) -> None:
        """Count some requests of 5 nano-dollars and 120 ms; say how its spool is."""
        for _ in range(requests):
            self.metrics.count_settled(DECISION, Tier.FAST, Outcome.OK, (5,), None, 120)
        self.metrics.set_shipping(
            ShippingState(database_ok=database_ok, lag_entries=lag_entries, lag_seconds=lag_seconds)
        )
        self.shared.write()

    def figures(self) -> dict[str, float]:
        """What a scrape of this worker shows, without labels other than the bucket."""
        samples = [
            s for family in text_string_to_metric_families(self.shared.scrape().decode()) for s in family.samples
        ]
        return {s.name + s.labels.get("le", ""): s.value for s in samples}

    def die(self) -> None:
        """Leave as a killed process does: its lock is released, and nothing is written."""
        self.shared._stopping.set()
        self.shared._thread.join()
        assert self.shared._lock_file is not None
        os.close(self.shared._lock_file)
        self.shared._lock_file = None


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[tuple[Worker, Worker]]:
    made = Worker(tmp_path / "metrics"), Worker(tmp_path / "metrics")
    yield made
    for worker in made:
        worker.shared.stop()


def test_whoever_is_asked_shows_the_counts_of_all(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    one.serve(3)
    other.serve(4)
    for figures in (one.figures(), other.figures()):
        assert figures["tierwise_requests_total"] == 7
        assert figures["tierwise_cost_nanousd_total"] == 35
        assert (figures["tierwise_first_byte_seconds_bucket0.25"], figures["tierwise_first_byte_seconds_count"]) == (
            7,
            7,
        )
        assert figures["tierwise_workers"] == 2


def test_gauges_are_put_together_by_what_they_mean(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    one.serve(0, lag_entries=3, lag_seconds=1.0)
    other.serve(0, lag_entries=4, lag_seconds=9.0, database_ok=False)
    figures = one.figures()
    assert (figures["tierwise_spool_entries"], figures["tierwise_spool_age_seconds"]) == (7, 9)
    assert figures["tierwise_database_up"] == 0


def test_what_a_dead_worker_counted_stays_and_its_gauges_go(workers: tuple[Worker, Worker], tmp_path: Path) -> None:
    one, other = workers
    one.serve(3)
    other.serve(4, lag_entries=5)
    other.die()
    for asked in (one, Worker(tmp_path / "metrics")):  # the new worker puts the counts of the dead aside
        figures = asked.figures()
        assert (figures["tierwise_requests_total"], figures["tierwise_spool_entries"]) == (7, 0)
    asked.shared.stop()
    assert one.figures()["tierwise_requests_total"] == 7
    assert len(list((tmp_path / "metrics").glob("*.counts"))) == 3  # one that lives, one that left, and the dead


def test_a_server_that_was_stopped_begins_anew(tmp_path: Path) -> None:
    for _ in range(2):
        worker = Worker(tmp_path / "metrics")
        worker.serve(2)
        assert worker.figures()["tierwise_requests_total"] == 2
        worker.shared.stop()


def test_without_a_place_for_files_a_worker_shows_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    worker = Worker(tmp_path / "file")
    worker.metrics.count_settled(DECISION, Tier.FAST, Outcome.OK, (5,), None, 120)
    assert worker.figures()["tierwise_requests_total"] == 1


def test_a_figure_that_cannot_be_read_once_is_written_the_next_time(tmp_path: Path) -> None:
    worker = Worker(tmp_path / "metrics")
    asked: list[int] = []

    def collect() -> Iterable[Metric]:
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("changed size during iteration")
        return worker.metrics.registry.collect()

    fragile = MachineMetrics(tmp_path / "metrics", collect, worker.metrics.across)
    fragile.start()
    fragile.stop()
    fragile.write()
    assert len(list((tmp_path / "metrics").glob(fragile._path.name))) == 1
    worker.shared.stop()


def test_a_damaged_file_counts_for_nothing(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    one.serve(1)
    other.shared._path.write_bytes(b"\xc1")
    assert one.figures()["tierwise_requests_total"] == 1
