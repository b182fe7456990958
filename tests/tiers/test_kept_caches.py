"""Keys and marks of prompt caches go out where they pay, and never in place of the client's own."""

from typing import Any

import msgspec
import pytest

from router.providers.base import ModelTarget
from router.providers.caches import cache_key
from router.tiers.single import SingleTier
from router.types import Tier
from tests.tiers.fakes import FakeProvider, a_query, saying, some_calls

MARK = {"type": "ephemeral"}
LONG = "word " * 4_000
ONE_SHOT: list[dict[str, Any]] = [{"role": "user", "content": LONG}]
TALK = [*ONE_SHOT, {"role": "assistant", "content": "Noted."}, {"role": "user", "content": "And?"}]
OWN = [{"role": "user", "content": [{"type": "text", "text": LONG, "cache_control": MARK}]}, *TALK[1:]]
GPT, CLAUDE = ModelTarget("openai/gpt-5-nano"), ModelTarget("anthropic/claude-sonnet-4-5")
UNKNOWN = ModelTarget("openai/llama", "http://localhost:8000/v1")


async def sent(target: ModelTarget, messages: list[dict[str, Any]], size: int = 20_000, **changes: Any) -> Any:
    provider = FakeProvider(saying("Yes."))
    query = msgspec.structs.replace(a_query(**changes), messages=messages, input_bound_tokens=size)
    await SingleTier(Tier.FAST, (target,)).answer(query, some_calls(provider))
    return provider.requests[0]


@pytest.mark.parametrize(
    ("target", "messages", "changes", "is_keyed", "is_marked"),
    [
        (GPT, ONE_SHOT, {}, True, False),
        (GPT, TALK, {}, True, False),
        (GPT, TALK, {"size": 3_000}, False, False),  # too short
        (GPT, TALK, {"keeps_cache": False}, False, False),  # housekeeping
        (UNKNOWN, TALK, {}, False, False),
        (ModelTarget("mistral/mistral-small-latest"), TALK, {}, True, False),
        (CLAUDE, ONE_SHOT, {}, False, False),  # writing costs, and nobody may come back
        (CLAUDE, ONE_SHOT, {"params": {"tools": [{}]}}, False, True),
        (CLAUDE, ONE_SHOT, {"params": {"cache_control": MARK}}, False, True),
        (CLAUDE, TALK, {}, False, True),
        (CLAUDE, TALK, {"keeps_cache": False}, False, False),
        (ModelTarget("anthropic/claude-haiku-4-5"), TALK, {"size": 16_000}, False, False),  # below its 4,096 tokens
    ],
)
async def test_a_long_conversation_is_kept_where_that_pays(
    target: ModelTarget, messages: list[dict[str, Any]], changes: dict[str, Any], is_keyed: bool, is_marked: bool
) -> None:
    request = await sent(target, messages, **changes)
    assert request.params.get("prompt_cache_key") == (cache_key(None, messages) if is_keyed else None)
    content = request.messages[-1]["content"]
    assert (isinstance(content, list) and content[-1].get("cache_control") == MARK) is is_marked
    assert request.messages[:-1] == messages[:-1]


async def test_what_the_client_set_stays_as_it_is() -> None:
    assert (await sent(CLAUDE, OWN)).messages == OWN
    keyed = await sent(GPT, TALK, params={"prompt_cache_key": "mine"}, conversation="c-1")
    assert keyed.params["prompt_cache_key"] == "mine"
    assert (await sent(GPT, TALK, conversation="c-1")).params["prompt_cache_key"] == cache_key("c-1", TALK)
