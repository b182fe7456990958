"""A server that speaks Bedrock's Converse, with AWS's binary events, and refuses what that one refuses."""

import json
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.providers.families.anthropic import signature_of
from tests.providers.families.fakes import Asked, Refused, Said, answer_to, only, pieces, require, sends, told

KNOWN = {
    "messages", "system", "inferenceConfig", "toolConfig", "additionalModelRequestFields", "guardrailConfig",
    "performanceConfig", "requestMetadata", "additionalModelResponseFieldPaths", "outputConfig", "modelId",
}  # fmt: skip
ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
ENDINGS = {"stop": "end_turn", "length": "max_tokens", "calls": "tool_use"}
USAGE = {"inputTokens": 20, "outputTokens": 9, "totalTokens": 29}


async def bedrock(request: web.Request) -> web.StreamResponse:
    """Answer POST /model/{id}/converse and /converse-stream."""
    body = json.loads(await request.read())
    try:
        signed = request.headers.get("authorization", "")
        require(signed.startswith("AWS4-HMAC-SHA256"), "The security token included in the request is invalid.", 403)
        asked = read(body)
    except Refused as error:
        kind = "UnrecognizedClientException" if error.status == 403 else "ValidationException"
        response = told({"message": error.message}, error.status)
        response.headers["x-amzn-errortype"] = kind
        return response
    said = answer_to(asked, ("tooluse_1", "tooluse_2"))
    if not request.path.endswith("stream"):
        message = {"role": "assistant", "content": list(_blocks(said))}
        ending = ENDINGS[said.ending]
        return told({"output": {"message": message}, "stopReason": ending, "usage": USAGE, "metrics": {"latencyMs": 5}})
    return await sends(request, _events(said), "application/vnd.amazon.eventstream")


def read(body: dict[str, Any]) -> Asked:
    """Read a request strictly."""
    only(body, KNOWN, lambda key: f"Malformed input request: extraneous key [{key}] is not permitted")
    more = body.get("additionalModelRequestFields") or {}
    asked = Asked(system=" ".join(part["text"] for part in body.get("system") or () if "text" in part))
    config = body.get("toolConfig") or {}
    asked.tools = [tool["toolSpec"]["name"] for tool in config.get("tools", ()) if "toolSpec" in tool]
    asked.has_schema = "json_tool_call" in asked.tools or "outputConfig" in body or "output_format" in more
    asked.thinks = "thinking" in more or "reasoningConfig" in more
    asked.is_cut = body.get("inferenceConfig", {}).get("maxTokens", 99) <= 16
    waiting: list[str] = []
    before = "assistant"
    for place, message in enumerate(body["messages"]):
        role, blocks = message["role"], message["content"]
        require(role != before, "A conversation must alternate between user and assistant roles.")
        before = role
        results = [block["toolResult"] for block in blocks if "toolResult" in block]
        require(
            sorted(one["toolUseId"] for one in results) == sorted(waiting),
            f"Expected toolResult blocks at messages.{place}.content for the following Ids: {waiting}",
        )
        uses = [block["toolUse"] for block in blocks if "toolUse" in block]
        waiting = [use["toolUseId"] for use in uses]
        require(all(map(ID.fullmatch, waiting)), "toolUseId failed to satisfy constraint: regular expression pattern")
        require(not (uses or results) or config, "The toolConfig field must be defined when using toolUse blocks.")
        for block in blocks:
            require("text" not in block or block["text"].strip(), "The text field in the ContentBlock object is blank.")
            if thought := block.get("reasoningContent", {}).get("reasoningText"):
                is_own = thought.get("signature") == signature_of(thought["text"])
                require(is_own, "messages: Invalid `signature` in `thinking` block")
        if uses and asked.thinks and place == len(body["messages"]) - 2:
            require(
                "reasoningContent" in blocks[0], "Expected `thinking` or `redacted_thinking`, but found `tool_use`."
            )
        asked.text = " ".join(block["text"] for block in blocks if "text" in block)
        asked.results = [" ".join(part.get("text", "") for part in one["content"]) for one in results]
        asked.has_picture = any("image" in block for block in blocks)
    if "json_tool_call" in asked.tools:
        asked.tools, asked.text = ["json_tool_call"], "weather Oslo"
    return asked


def _blocks(said: Said) -> Iterator[dict[str, Any]]:
    if said.thinking:
        yield {"reasoningContent": {"reasoningText": {"text": said.thinking, "signature": signature_of(said.thinking)}}}
    if said.text:
        yield {"text": said.text}
    for own, name, arguments in said.calls:
        yield {"toolUse": {"toolUseId": own, "name": name, "input": arguments}}


def _events(said: Said) -> Iterator[bytes]:
    yield framed("messageStart", {"role": "assistant"})
    for index, block in enumerate(_blocks(said)):
        at: dict[str, Any] = {"contentBlockIndex": index}
        if use := block.get("toolUse"):
            start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
            yield framed("contentBlockStart", {**at, "start": start})
            deltas: list[dict[str, Any]] = [{"toolUse": {"input": p}} for p in pieces(json.dumps(use["input"]))]
        elif thought := block.get("reasoningContent"):
            text, signature = thought["reasoningText"]["text"], thought["reasoningText"]["signature"]
            deltas = [{"reasoningContent": {"text": piece}} for piece in pieces(text)]
            deltas.append({"reasoningContent": {"signature": signature}})
        else:
            deltas = [{"text": piece} for piece in pieces(block["text"])]
        for delta in deltas:
            yield framed("contentBlockDelta", {**at, "delta": delta})
        yield framed("contentBlockStop", at)
    yield framed("messageStop", {"stopReason": ENDINGS[said.ending]})
    yield framed("metadata", {"usage": USAGE, "metrics": {"latencyMs": 5}})


def framed(kind: str, body: dict[str, Any], *, message_type: str = "event") -> bytes:
    """Frame an event as AWS does: lengths, their checksum, headers, payload, checksum."""
    type_key = ":event-type" if message_type == "event" else ":exception-type"
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in ((type_key, kind), (":content-type", "application/json"), (":message-type", message_type))
    )
    payload = json.dumps(body).encode()
    lengths = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    head = lengths + struct.pack("!I", zlib.crc32(lengths))
    frame = head + headers + payload
    return frame + struct.pack("!I", zlib.crc32(frame))
