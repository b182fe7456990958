"""A server that speaks Gemini's dialect, and refuses what that one refuses."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.providers.families.fakes import Asked, Refused, Said, answer_to, only, pieces, require, sends, told

KNOWN = {
    "contents", "systemInstruction", "system_instruction", "tools", "toolConfig", "tool_config", "generationConfig",
    "generation_config", "safetySettings", "safety_settings", "cachedContent",
}  # fmt: skip
SIGNATURE = base64.b64encode(b"a thought of gemini").decode()
PLACEHOLDER = base64.b64encode(b"skip_thought_signature_validator").decode()
ENDINGS = {"stop": "STOP", "length": "MAX_TOKENS", "calls": "STOP"}
USAGE = {"promptTokenCount": 20, "candidatesTokenCount": 9, "thoughtsTokenCount": 4, "totalTokenCount": 33}


async def gemini(request: web.Request) -> web.StreamResponse:
    """Answer POST .../models/{model}:generateContent and :streamGenerateContent."""
    body = json.loads(await request.read())
    try:
        key = request.headers.get("x-goog-api-key") or request.query.get("key")
        require(key == "sk-family", "API key not valid. Please pass a valid API key.")
        asked = read(body, signs="gemini-3" in request.path)
    except Refused as error:
        reason = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
        details = reason if "API key" in error.message else []
        told_as = {"code": error.status, "message": error.message, "status": "INVALID_ARGUMENT", "details": details}
        return told({"error": told_as}, error.status)
    said = answer_to(asked)
    if "streamGenerateContent" not in request.path:
        return told({"candidates": [_candidate(list(_parts(said)), said)], "usageMetadata": USAGE, "modelVersion": "g"})
    return await sends(request, _chunks(said), "text/event-stream")


def read(body: dict[str, Any], *, signs: bool) -> Asked:
    """Read a request strictly; a model that signs wants its signatures back."""
    only(body, KNOWN, lambda key: f'Invalid JSON payload received. Unknown name "{key}": Cannot find field.')
    system = body.get("systemInstruction") or body.get("system_instruction") or {"parts": []}
    config = body.get("generationConfig") or body.get("generation_config") or {}
    thinking = config.get("thinkingConfig") or config.get("thinking_config") or {}
    asked = Asked(system=" ".join(part["text"] for part in system["parts"]))
    for tool in body.get("tools") or ():
        asked.tools += [one["name"] for one in tool.get("functionDeclarations", tool.get("function_declarations", ()))]
    asked.has_schema = any("schema" in key.lower() for key in config)
    asked.is_cut = 0 < config.get("maxOutputTokens", config.get("max_output_tokens", 0)) <= 16
    asked.thinks = bool(thinking.get("includeThoughts"))
    calls: list[str] = []
    for place, content in enumerate(body["contents"]):
        parts = [{_plain(key): value for key, value in part.items()} for part in content["parts"]]
        answers = [part["functionresponse"] for part in parts if "functionresponse" in part]
        require(
            sorted(one["name"] for one in answers) == sorted(calls),
            "Please ensure that the number of function response parts is equal to the number of function call parts",
        )
        called = [part for part in parts if "functioncall" in part]
        calls = [part["functioncall"]["name"] for part in called]
        if called and signs and place >= len(body["contents"]) - 2:
            signature = called[0].get("thoughtsignature")
            require(signature, "Function call is missing a thought_signature in functionCall parts.")
            require(signature in (SIGNATURE, PLACEHOLDER), "Thought signature is not valid")
        asked.text = " ".join(part["text"] for part in parts if "text" in part)
        asked.results = [_result(one["response"]) for one in answers]
        asked.has_picture = any("inlinedata" in part or "filedata" in part for part in parts)
    return asked


def _plain(key: str) -> str:
    return key.replace("_", "").lower()


def _result(response: Any) -> str:
    return (
        str(response.get("content", response.get("result", response))) if isinstance(response, dict) else str(response)
    )


def _parts(said: Said) -> Iterator[dict[str, Any]]:
    if said.thinking:
        yield {"text": said.thinking, "thought": True}
    if said.text:
        yield {"text": said.text}
    for place, (_, name, arguments) in enumerate(said.calls):
        part: dict[str, Any] = {"functionCall": {"name": name, "args": arguments}}
        yield part if place else {**part, "thoughtSignature": SIGNATURE}


def _candidate(parts: list[dict[str, Any]], said: Said, *, ends: bool = True) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    return {**candidate, "finishReason": ENDINGS[said.ending]} if ends else candidate


def _chunks(said: Said) -> Iterator[bytes]:
    parts = [
        {**part, "text": piece} for part in _parts(said) if "text" in part for piece in pieces(part["text"], 4)
    ] + [part for part in _parts(said) if "text" not in part]
    for place, part in enumerate(parts):
        is_last = place == len(parts) - 1
        chunk = {"candidates": [_candidate([part], said, ends=is_last)], "usageMetadata": USAGE}
        yield b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n"
