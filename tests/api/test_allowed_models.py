"""A key names the models that it may, and sees no others."""

from typing import Any

import pytest

from router.types import Tier
from tests.api.service import CHAT, SCRIPTS, Service, a_chat

FAST = (Tier.FAST,)


async def names(service: Service, name: str, **limits: Any) -> set[str]:
    async with service.with_key(name, **limits) as client:
        return {model["id"] for model in (await client.get("/v1/models")).json()["data"]}


async def test_a_key_limited_to_fast_opens_no_explicit_model(keyed: Service) -> None:
    async with keyed.with_key("fast-only", tiers=FAST) as client:
        refused = await client.post(CHAT, json=a_chat("echo"))
        assert refused.status_code == 403
        assert refused.json()["error"]["param"] == "model"
        assert (await client.post(CHAT, json=a_chat("fast"))).status_code == 200
        assert (await client.post(CHAT, json=a_chat("auto"))).json()["x_tierwise"]["tier"] == "fast"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"input": "Hi"}),
        ("/v1/messages", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}),
        ("/v1/embeddings", {"input": "Hi"}),
        ("/v1/completions", {"prompt": "Hi"}),
    ],
)
async def test_no_other_endpoint_opens_it_either(keyed: Service, path: str, body: dict[str, Any]) -> None:
    async with keyed.with_key(f"fast-only {path}", tiers=FAST) as client:
        assert (await client.post(path, json={"model": "echo", **body})).status_code == 403


async def test_a_key_names_what_it_was_given(keyed: Service) -> None:
    async with keyed.with_key("echo-only", tiers=FAST, allowed_models=("echo",)) as client:
        assert (await client.post(CHAT, json=a_chat("echo"))).status_code == 200
        assert (await client.post(CHAT, json=a_chat("steady-think"))).status_code == 403
        assert (await client.post(CHAT, json=a_chat("nothing-of-that-name"))).status_code == 404
        assert (await client.get("/v1/models/steady-think")).status_code == 404
        assert (await client.get("/v1/models/echo")).status_code == 200


async def test_models_are_listed_as_far_as_a_key_may_name_them(keyed: Service) -> None:
    assert await names(keyed, "lists fast", tiers=FAST) == {"auto", "fast"}
    assert await names(keyed, "lists echo", allowed_models=("echo",)) == {"auto", *Tier, "echo"}
    assert await names(keyed, "lists all") == {"auto", *Tier, *SCRIPTS}
