"""What the scripted provider says to calls that are passed through: vectors and completions, a function of the body."""

import base64
import hashlib
import struct
from typing import Any

from router.providers.counting import count_tokens, tokens_of
from router.types import RelayedCall

DIMENSIONS = 8
DEFAULT_LIMIT = 16  # tokens, as in OpenAI's older API


def answer_to_relay(model: str, call: str, body: dict[str, Any]) -> dict[str, Any]:
    """Answer as OpenAI's API does."""
    return _vectors(model, body) if call == RelayedCall.EMBEDDINGS else _completion(model, body)


def events_to_relay(model: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The chunks of a completion, the last of them with the usage alone."""
    whole = _completion(model, body)
    frame = {key: whole[key] for key in ("id", "object", "created", "model")}
    [choice, *_] = whole["choices"]
    events = [
        {**frame, "choices": [{**choice, "text": token, "finish_reason": None}]} for token in tokens_of(choice["text"])
    ]
    events.append({**frame, "choices": [{**choice, "text": ""}]})
    return [*events, {**frame, "choices": [], "usage": whole["usage"]}]


def _vectors(model: str, body: dict[str, Any]) -> dict[str, Any]:
    given = body["input"]
    texts = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    size = body.get("dimensions") or DIMENSIONS
    vectors: list[Any] = [_vector(str(text), size) for text in texts]
    if body.get("encoding_format") == "base64":
        vectors = [base64.b64encode(struct.pack(f"<{size}f", *vector)).decode() for vector in vectors]
    tokens = sum(count_tokens(str(text)) for text in texts)
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)],
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _vector(text: str, size: int) -> list[float]:
    digest = hashlib.shake_256(text.encode()).digest(size)
    return [byte / 127.5 - 1.0 for byte in digest]


def _completion(model: str, body: dict[str, Any]) -> dict[str, Any]:
    prompt = body["prompt"] if isinstance(body["prompt"], str) else str(body["prompt"])
    tokens = tokens_of(f" {prompt}")
    limit = body.get("max_tokens") or DEFAULT_LIMIT
    said, finish = tokens[:limit], "length" if len(tokens) > limit else "stop"
    count = body.get("n") or 1
    choices = [
        {"index": index, "text": "".join(said), "logprobs": None, "finish_reason": finish} for index in range(count)
    ]
    usage = {"prompt_tokens": count_tokens(prompt), "completion_tokens": len(said) * count}
    return {
        "id": "cmpl-scripted",
        "object": "text_completion",
        "created": 1,
        "model": model,
        "choices": choices,
        "usage": {**usage, "total_tokens": sum(usage.values())},
    }
