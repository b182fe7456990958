import asyncio

import pytest
from aiohttp import web
from yarl import URL

from router.errors import ProviderError, ProviderUnreachable
from router.providers.base import ModelTarget, ProviderRequest
from router.providers.openai.addresses import bases_of, call_at
from router.providers.openai.client import OpenAICompatible
from tests.providers.upstream import an_upstream, says

WHOLE = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}]}
HELLO = [{"role": "user", "content": "Hi"}]
NOWHERE = says({"detail": "Not Found"}, 404)


def asked_at(base: str) -> ProviderRequest:
    return ProviderRequest(ModelTarget("openai/m", api_base=base), HELLO, {})


@pytest.mark.parametrize(
    ("base", "first"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
        ("https://h/v1/", "https://h/v1/chat/completions"),
        ("http://h:8000", "http://h:8000/v1/chat/completions"),
        ("http://h:8000/?key=a%2Bb", "http://h:8000/v1/chat/completions?key=a%2Bb"),
        ("https://h/v1/chat/completions", "https://h/v1/chat/completions"),
        (
            "https://h/openai/deployments/gpt?api-version=1",
            "https://h/openai/deployments/gpt/chat/completions?api-version=1",
        ),
        ("https://h/v1beta/openai/", "https://h/v1beta/openai/chat/completions"),
        ("https://h/a%2Fb/v1", "https://h/a%2Fb/v1/chat/completions"),
        (" https://h/v1\n", "https://h/v1/chat/completions"),
    ],
)
def test_an_address_is_taken_as_people_copy_it(base: str, first: str) -> None:
    assert call_at(bases_of(base)[0], "chat/completions") == URL(first, encoded=True)


async def test_where_no_version_is_named_the_other_place_is_tried_and_remembered() -> None:
    async with an_upstream(NOWHERE, says(WHOLE), says(WHOLE)) as upstream:
        provider = OpenAICompatible()
        base = f"http://127.0.0.1:{upstream.port}/proxy?tenant=7"
        for _ in range(2):
            answer = await provider.complete(asked_at(base))
            assert answer.choices[0].content == "fine"
        await provider.close()
    assert upstream.paths == [
        "/proxy/chat/completions",
        "/proxy/v1/chat/completions",
        "/proxy/v1/chat/completions",
    ]


async def test_requests_that_look_for_the_other_place_at_once_all_find_it() -> None:
    waiting, all_asked = [], asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path != "/v1/chat/completions":
            return await says(WHOLE)(request)
        waiting.append(request)
        if len(waiting) == 3:
            all_asked.set()
        await all_asked.wait()
        return await NOWHERE(request)

    async with an_upstream(answer) as upstream:
        provider = OpenAICompatible()
        request = asked_at(f"http://127.0.0.1:{upstream.port}")
        answers = await asyncio.gather(*(provider.complete(request) for _ in range(3)))
        await provider.close()
    assert [answer.choices[0].content for answer in answers] == ["fine"] * 3
    assert upstream.paths.count("/chat/completions") == 3


async def test_a_server_that_is_in_neither_place_is_asked_in_both_each_time() -> None:
    async with an_upstream(NOWHERE) as upstream:
        provider = OpenAICompatible()
        for _ in range(2):
            with pytest.raises(ProviderError):
                await provider.complete(asked_at(f"http://127.0.0.1:{upstream.port}"))
        await provider.close()
    assert upstream.paths == ["/v1/chat/completions", "/chat/completions"] * 2


async def test_a_model_that_is_not_there_is_not_looked_for_elsewhere() -> None:
    async with an_upstream(says({"error": {"message": "The model m does not exist"}}, 404)) as upstream:
        provider = OpenAICompatible()
        with pytest.raises(ProviderError):
            await provider.complete(asked_at(f"http://127.0.0.1:{upstream.port}"))
        await provider.close()
    assert upstream.paths == ["/v1/chat/completions"]


async def test_a_provider_is_asked_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with an_upstream(says(WHOLE)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        for trust_env in (True, False):
            provider = OpenAICompatible(trust_env=trust_env)
            request = asked_at("http://provider.invalid/v1")
            if trust_env:
                assert (await provider.complete(request)).choices[0].content == "fine"
            else:
                with pytest.raises(ProviderUnreachable):
                    await provider.complete(request)
            await provider.close()
    assert [headers["Host"] for headers in proxy.headers] == ["provider.invalid"]


@pytest.mark.parametrize(
    "base", ["http://[::1/v1", "http://h:port/v1", "http://h:99999", "http://", "http:///v1", "http://ä/v1"]
)
async def test_what_is_no_address_is_told_as_such(base: str) -> None:
    provider = OpenAICompatible()
    for model in ("openai/m", "ollama/m"):
        request = ProviderRequest(ModelTarget(model, api_base=base), HELLO, {})
        with pytest.raises(ProviderError, match=r"api_base of .* is no address") as told:
            await provider.complete(request)
        with pytest.raises(ProviderError, match=r"api_base of .* is no address"):
            [delta async for delta in provider.stream(request)]
        with pytest.raises(ProviderError, match=r"api_base of .* is no address"):
            await provider.ping(request.target)
        assert (told.value.code, told.value.dispatched) == ("not_configured", False)
    await provider.close()
