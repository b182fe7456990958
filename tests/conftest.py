"""How all tests run: a busy machine is no reason to fail, and many processes share the work."""

from functools import cache
from pathlib import Path

import pytest
import typer.testing
from hypothesis import HealthCheck, settings
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

from tests.builders.databases import (  # noqa: F401 - fixtures for all tests
    empty_postgresql_url,
    empty_url,
    engine,
    postgresql_engine,
    sqlite_engine,
    sqlite_url,
)

HERE = Path(__file__).parent
# What these modules need takes long to make, so that all of a group stay in one process and make it once.
GROUPS = {
    "e2e/browser": "browser",
    "e2e/clients": "clients",
    "e2e/test_embedded.py": "embedded",
    "providers/embedded": "embedded",
    "providers/litellm": "litellm",
}
# The tests of these modules have nothing in common and take long each: any process may take any of them.
SINGLE = ("e2e/test_", "faults", "ledger/test_budgets.py", "ledger/test_closing.py")
# About how long a test takes, in seconds, where that is more than a little; what takes longest in all is begun first.
SECONDS = {
    "faults/test_cluster": 60.0,
    "faults": 12.0,
    "admin/test_one_window": 20.0,
    "classifier/training/test_assessment": 8.0,
    "e2e/test_": 6.0,
    "browser": 6.0,
    "test_wheel": 6.0,
    "embedded": 5.0,
    "ledger/test_budgets": 3.0,
    "migrations": 1.0,
    "tuning/test_solver": 1.0,
    "learning/test_refit": 1.0,
}
A_LITTLE_S = 0.3
# No tests of these places are fast: they start servers, load a model or fit one, or compute for seconds.
SLOW = (
    "admin",
    "benchmarks",
    "canary/test_monitor.py",
    "classifier/test_commands.py",
    "classifier/test_examples.py",
    "classifier/training",
    "commands",
    "deploy",
    "e2e",
    "faults",
    "learning/test_artifacts.py",
    "learning/test_refit.py",
    "ledger/test_books_machine.py",
    "ledger/test_rollups.py",
    "ledger/test_workers.py",
    "migrations",
    "policies/test_canary_lifecycle.py",
    "providers/embedded",
    "providers/litellm",
    "reports/test_formats.py",
    "showcase",
    "test_dependencies.py",
    "test_house.py",
    "test_said_once.py",
    "test_wheel.py",
    "tuning/preview/test_preview.py",
    "tuning/test_backtest.py",
    "tuning/test_predictions.py",
    "tuning/test_solver.py",
)
# Nor is a test that asks for one of these: a whole service, or two.
SERVICES = {"fresh", "keyed_service", "open_service", "service", "workers", "working"}

# A runner makes the tree of all commands anew for each one, which takes longer than most of them.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", settings.get_profile("house"), max_examples=25)


def pytest_configure(config: pytest.Config) -> None:
    """Try fewer examples of each law where it has to go fast."""
    settings.load_profile("fast" if config.option.markexpr == "fast" else "house")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what a run of the fast tests leaves out."""
    return True if config.option.markexpr == "fast" and place_of(collection_path).startswith(SLOW) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is fast."""
    for item in items:
        if not (place_of(item.path).startswith(SLOW) or item.get_closest_marker("slow") or needs_a_server(item)):
            item.add_marker("fast")


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Gives a process whole modules, so that what the tests of one share is made once; the longest come first."""

    def _split_scope(self, nodeid: str) -> str:
        """Name what a test belongs to. Marks of groups cannot say it: no process sees those of another."""
        place = nodeid.removeprefix("tests/")
        group = next((group for start, group in GROUPS.items() if place.startswith(start)), None)
        return group or (nodeid if place.startswith(SINGLE) else place.partition("::")[0])

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Give a process what takes longest of all that is left."""
        self.workqueue.move_to_end(max(self.workqueue, key=self._seconds), last=False)
        super()._assign_work_unit(node)

    def _seconds(self, scope: str) -> float:
        """Guess how long all tests of a module or group take."""
        place = scope.removeprefix("tests/")
        each = next((seconds for start, seconds in SECONDS.items() if place.startswith(start)), A_LITTLE_S)
        return each * len(self.workqueue[scope])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Share the tests among processes in our way."""
    return Together(config, log)


def place_of(path: Path) -> str:
    """Where a file is below this directory."""
    return path.relative_to(HERE).as_posix() if path.is_relative_to(HERE) else ""


def needs_a_server(item: pytest.Item) -> bool:
    """Tell whether a test needs a whole service, or PostgreSQL: by name, or as one of two kinds of database."""
    asked, callspec = set(getattr(item, "fixturenames", ())), getattr(item, "callspec", None)
    parameters = callspec.params.values() if callspec is not None else ()
    return bool(asked & SERVICES) or "postgresql" in parameters or any("postgresql" in name for name in asked)
