"""What is asked of a provider's batch interface, and how its answers are read."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestServer

from router.errors import Cause, ProviderError
from router.providers.base import ModelTarget, ProviderRequest
from router.providers.batches import Batch
from router.providers.clients import Providers
from router.providers.openai.batches import OpenAIBatches
from router.providers.openai.client import OpenAICompatible
from tests.providers.batch_house import BatchHouse


@pytest.fixture
def house() -> BatchHouse:
    return BatchHouse(each_look=2)


@pytest.fixture
async def target(house: BatchHouse) -> AsyncIterator[ModelTarget]:
    async with TestServer(house.app()) as server:
        yield ModelTarget("openai/double", api_base=str(server.make_url("/v1")), batch_window="24h")


@pytest.fixture
async def provider() -> AsyncIterator[OpenAIBatches]:
    client = OpenAICompatible(trust_env=False)
    yield OpenAIBatches(client)
    await client.close()


def some_requests(target: ModelTarget, count: int = 4) -> dict[str, ProviderRequest]:
    ask = [{"role": "user", "content": "What is 3 + 9?"}]
    return {f"c-{i}": ProviderRequest(target, ask, {"temperature": 0.5, "seed": i}) for i in range(count)}


async def begin(provider: OpenAIBatches, target: ModelTarget, key: str = "k") -> Batch:
    content = provider.write(some_requests(target))
    return await provider.create(target, key, await provider.upload(target, key, content))


async def follow(provider: OpenAIBatches, target: ModelTarget, batch: Batch) -> Batch:
    while not (batch := await provider.look(target, batch.id)).is_over:
        pass
    return batch


async def test_a_batch_is_a_file_of_lines_and_is_told_by_its_counts(
    provider: OpenAIBatches, target: ModelTarget, house: BatchHouse
) -> None:
    batch = await begin(provider, target)
    assert (batch.status, batch.total, house.batches[0].window) == ("validating", 4, "24h")
    assert [line["custom_id"] for line in house.batches[0].lines] == ["c-0", "c-1", "c-2", "c-3"]
    body = house.batches[0].lines[2]["body"]
    assert (body["model"], body["seed"], body.get("stream", False)) == ("double", 2, False)
    await provider.look(target, batch.id)
    assert (await provider.look(target, batch.id)).completed == 2


async def test_lines_come_in_any_order_twice_and_with_errors_among_them(
    provider: OpenAIBatches, target: ModelTarget, house: BatchHouse
) -> None:
    house.failing = 1
    batch = await follow(provider, target, await begin(provider, target))
    lines = {line.custom_id: line for line in await provider.read(target, batch, some_requests(target))}
    assert {name: line.completion is not None for name, line in lines.items()} == {
        "c-0": False, "c-1": True, "c-2": True, "c-3": True,
    }  # fmt: skip
    assert lines["c-0"].http_status == 500
    completion = lines["c-1"].completion
    assert completion is not None
    assert completion.metered is not None
    assert (completion.choices[0].content, completion.metered.usage.output_tokens) == ("The answer is 12.", 12)


async def test_an_expired_batch_gives_what_it_has(
    provider: OpenAIBatches, target: ModelTarget, house: BatchHouse
) -> None:
    house.stops_after, house.expires = 2, True
    batch = await follow(provider, target, await begin(provider, target))
    lines = {line.custom_id: line for line in await provider.read(target, batch, {})}
    assert (batch.status, lines["c-3"].cause) == ("expired", Cause.TIMEOUT_TOTAL)
    assert sum(line.completion is not None for line in lines.values()) == 2


async def test_a_batch_that_was_created_though_nobody_said_so_is_found_behind_others(
    provider: OpenAIBatches, target: ModelTarget, house: BatchHouse
) -> None:
    file_id = await provider.upload(target, "mine", provider.write(some_requests(target)))
    house.creation = "lost"
    with pytest.raises(ProviderError):
        await provider.create(target, "mine", file_id)
    for _ in range(3):
        await begin(provider, target, "other")
    found = await provider.find(target, "mine", file_id)
    assert found is not None
    assert found.id == house.batches[0].id
    assert await provider.find(target, "nobody's", "file-none") is None


async def test_cancelling_again_and_too_late_changes_nothing(
    provider: OpenAIBatches, target: ModelTarget, house: BatchHouse
) -> None:
    batch = await begin(provider, target)
    await provider.cancel(target, batch.id)
    await provider.cancel(target, batch.id)
    assert (await follow(provider, target, batch)).status == "cancelled"
    await provider.cancel(target, batch.id)


async def test_its_files_are_deleted(provider: OpenAIBatches, target: ModelTarget, house: BatchHouse) -> None:
    house.failing = 1
    batch = await follow(provider, target, await begin(provider, target))
    await provider.clear(target, batch)
    assert not house.files
    await provider.clear(target, batch)


def test_only_who_is_configured_for_batches_is_sent_any() -> None:
    providers = Providers(trust_env=False)
    assert providers.batches_of(ModelTarget("openai/double")) is None
    assert providers.batches_of(ModelTarget("openai/double", batch_window="24h")) is not None
    assert providers.batches_of(ModelTarget("scripted/solver", batch_window="24h")) is None
