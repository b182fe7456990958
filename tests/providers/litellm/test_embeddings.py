from typing import Any

import msgspec
import pytest

from router.errors import ProviderError, ProviderRefused
from router.providers.base import ModelTarget
from router.providers.litellm.client import LiteLLMProvider
from tests.providers.upstream import an_upstream, says

COHERES = {
    "id": "e",
    "texts": ["one"],
    "embeddings": {"float": [[0.5, -0.5]]},
    "response_type": "embeddings_by_type",
    "meta": {"billed_units": {"input_tokens": 3}},
}


def a_target(base: str) -> ModelTarget:
    return ModelTarget("cohere/embed-english-v3.0", api_base=base, api_key="key")


async def embedded(base: str) -> dict[str, Any]:
    provider = LiteLLMProvider()
    try:
        answer = await provider.relay(a_target(base), "embeddings", {"model": "x", "input": ["one"]})
    finally:
        await provider.close()
    decoded: dict[str, Any] = msgspec.json.decode(answer)
    return decoded


async def test_vectors_of_another_dialect_come_in_openais_form() -> None:
    async with an_upstream(says(COHERES)) as upstream:
        found = await embedded(f"{upstream.base}/embed")
    assert [one["embedding"] for one in found["data"]] == [[0.5, -0.5]]
    assert found["usage"]["prompt_tokens"] == 3


async def test_a_refusal_is_one_of_ours_and_says_no_word_of_litellm() -> None:
    async with an_upstream(says({"message": "invalid api token"}, 401)) as upstream:
        with pytest.raises(ProviderError) as caught:
            await embedded(f"{upstream.base}/embed")
    assert "litellm" not in caught.value.message.lower()


async def test_old_completions_are_not_passed_on() -> None:
    with pytest.raises(ProviderRefused):
        await LiteLLMProvider().relay(a_target("http://127.0.0.1:9"), "completions", {"prompt": "x"})
