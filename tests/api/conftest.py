"""One service for the tests that only ask it, on a loop of its own; a fresh one for those that count what is in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from router.keys import Scope
from tests.api.service import Service, serving, settings_of

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with serving(settings_of(tmp_path_factory.mktemp("service"))) as running:
        yield running


@pytest.fixture(autouse=True)
def closed_breakers(request: pytest.FixtureRequest) -> None:
    """Failures of one test are no reason to turn the next one away."""
    for name in {"service", "keyed"} & set(request.fixturenames):
        request.getfixturevalue(name).close_breakers()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def keyed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A service where there are keys; its local client has one of every scope but `assign`."""
    async with serving(settings_of(tmp_path_factory.mktemp("keyed"))) as running:
        running.local = running.with_key("local", *(set(Scope) - {Scope.ASSIGN}), peer="127.0.0.1")
        async with running.local:
            yield running


@pytest_asyncio.fixture(loop_scope="session")
async def fresh(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(settings_of(tmp_path)) as running:
        yield running
