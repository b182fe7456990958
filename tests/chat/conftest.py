"""A service with the page, where no key is needed, and one where there are keys."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.api.service import Service, serving, settings_of
from tests.chat.browsers import KEYLESS_ON, Browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def open_service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with serving(settings_of(tmp_path_factory.mktemp("chat"), **KEYLESS_ON)) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def keyed_service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with serving(settings_of(tmp_path_factory.mktemp("keyed-chat"), **KEYLESS_ON)) as running:
        running.key("another")
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def browser(open_service: Service) -> AsyncIterator[Browser]:
    """One on this machine, with the page open and no key."""
    found = Browser(open_service)
    async with found.client:
        await found.open()
        yield found
