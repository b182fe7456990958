"""OpenAI's own clients, pointed at the served instance and not otherwise changed."""

from collections.abc import AsyncIterator, Iterator

import pytest
from openai import AsyncOpenAI, OpenAI

from scripts.showcase.serving import Instance


@pytest.fixture
def client(instance: Instance) -> Iterator[OpenAI]:
    with OpenAI(base_url=instance.v1, api_key=instance.key, max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(instance: Instance) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=instance.v1, api_key=instance.key, max_retries=0) as made:
        yield made
