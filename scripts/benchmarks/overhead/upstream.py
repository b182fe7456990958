"""A provider that answers at once, whole or in chunks, for measurements: as little work as Python allows."""

import json

from starlette.types import Receive, Scope, Send

USAGE = {"prompt_tokens": 60, "completion_tokens": 16, "total_tokens": 76}
BODY = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "fake",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "word " * 16}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
).encode()
CHUNKS = 200


def _chunk(delta: dict[str, str], reason: str | None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    shape = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "fake", "choices": [choice], **more}
    return b"data: " + json.dumps(shape).encode() + b"\n\n"


STREAM = [
    _chunk({"role": "assistant"}, None),
    *[_chunk({"content": "word "}, None)] * CHUNKS,
    _chunk({}, "stop", usage=USAGE) + b"data: [DONE]\n\n",
]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer anything that is posted."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    is_stream = b'"stream":true' in body.replace(b" ", b"")
    kind = b"text/event-stream" if is_stream else b"application/json"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    for piece in STREAM if is_stream else [BODY]:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
