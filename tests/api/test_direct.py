import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from router.api.direct import DirectApp

ROUTES = [Route("/v1/asked", PlainTextResponse("by its route"), methods=["POST"])]


async def by_itself(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("at once")(scope, receive, send)


async def ask(app: Starlette, method: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        return await client.request(method, path)


async def test_an_exact_address_is_answered_without_its_route() -> None:
    answer = await ask(DirectApp(direct={("POST", "/v1/asked"): by_itself}, routes=ROUTES), "POST", "/v1/asked")
    assert answer.text == "at once"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/asked"),
        ("OPTIONS", "/v1/asked"),
        ("POST", "/v1/asked/"),
        ("POST", "/v1/ask"),
        ("POST", "/V1/asked"),
    ],
)
async def test_what_is_not_quite_that_address_is_answered_as_ever(method: str, path: str) -> None:
    ours = await ask(DirectApp(direct={("POST", "/v1/asked"): by_itself}, routes=ROUTES), method, path)
    theirs = await ask(Starlette(routes=ROUTES), method, path)
    assert (ours.status_code, ours.text, ours.headers) == (theirs.status_code, theirs.text, theirs.headers)
