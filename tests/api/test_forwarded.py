import pytest
from starlette.types import Receive, Scope, Send

from router.api.forwarded import ForwardedHeaders


async def nothing() -> dict[str, object]:
    raise AssertionError("unreachable: nobody asks for a body")


async def client_seen(peer: str, headers: list[tuple[bytes, bytes]]) -> tuple[str, str]:
    """Return the address and the scheme that the app sees of a request."""
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["client"][0], scope["scheme"]))

    async def send(message: object) -> None:
        raise AssertionError("unreachable: nothing is sent")

    scope = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": headers}
    await ForwardedHeaders(app, ["10.0.0.1"])(scope, nothing, send)
    return seen[0]


SAID = [(b"host", b"here"), (b"x-forwarded-for", b"9.9.9.9"), (b"x-forwarded-proto", b"https")]


@pytest.mark.parametrize(
    ("peer", "headers", "seen"),
    [
        ("10.0.0.1", SAID, ("9.9.9.9", "https")),
        ("10.0.0.2", SAID, ("10.0.0.2", "http")),
        ("10.0.0.1", SAID[:1], ("10.0.0.1", "http")),
    ],
)
async def test_a_known_proxy_is_believed_and_nobody_else(
    peer: str, headers: list[tuple[bytes, bytes]], seen: tuple[str, str]
) -> None:
    assert await client_seen(peer, headers) == seen
