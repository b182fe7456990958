"""How all tests run: a busy machine is no reason to fail, and many processes share the work."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.builders.databases import (  # noqa: F401 - fixtures for all tests
    empty_postgresql_url,
    empty_url,
    engine,
    postgresql_engine,
    sqlite_engine,
    sqlite_url,
)

HERE = Path(__file__).parent
# What these need takes long to make, so that the tests of a group stay in one process and make it once.
GROUPS = {
    "e2e/browser": "browser",
    "e2e/clients": "clients",
    "e2e/test_embedded.py": "embedded",
    "providers/embedded": "embedded",
    "providers/litellm": "litellm",
    "learning/test_refit.py": "refit",
    "classifier/training/test_assessment.py": "assessment",
    "tuning/preview/test_preview.py": "preview",
}
# No tests of these places are fast: they start servers, load a model, fit one, or compute for a second or more each.
SLOW = (
    "admin/test_thresholds.py",
    "admin/test_try_query.py",
    "classifier/test_commands.py",
    "classifier/test_examples.py",
    "classifier/training",
    "commands/test_pace.py",
    "commands/test_policy.py",
    "commands/test_trials.py",
    "e2e",
    "faults",
    "learning/test_artifacts.py",
    "learning/test_refit.py",
    "ledger/test_books_machine.py",
    "ledger/test_workers.py",
    "providers/embedded",
    "providers/litellm",
    "showcase",
    "test_house.py",
    "tuning/preview/test_preview.py",
    "tuning/test_predictions.py",
    "tuning/test_solver.py",
)

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is fast, and what must stay together."""
    for item in items:
        place = item.path.relative_to(HERE).as_posix() if item.path.is_relative_to(HERE) else ""
        if group := next((group for start, group in GROUPS.items() if place.startswith(start)), None):
            item.add_marker(pytest.mark.xdist_group(group))
        if not (place.startswith(SLOW) or item.get_closest_marker("slow") or needs_postgresql(item)):
            item.add_marker("fast")


def needs_postgresql(item: pytest.Item) -> bool:
    """Tell whether a test has a server started: it asks for one, or is run once on each kind of database."""
    asked, callspec = getattr(item, "fixturenames", ()), getattr(item, "callspec", None)
    parameters = callspec.params.values() if callspec is not None else ()
    return "postgresql" in parameters or any("postgresql" in name for name in asked)
