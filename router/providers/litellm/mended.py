"""What is mended in litellm itself when it is loaded, because no argument of it does.

Cohere's streams: it knows events of another shape, and loses calls and endings. Calls to Gemini: of two that are equal
it sends one, and both results. Its logging: it works out costs after every answer, on the event loop, and asks some
servers over the network for it.
"""

import json
from typing import Any

FINISH_REASON = "finish_reason"


def mend() -> None:
    """Mend litellm; it must be imported by now."""
    _mend_streams()
    _keep_equal_calls()
    _silence_logging()


def _keep_equal_calls() -> None:
    """Have litellm send Gemini every call, also where two are equal."""
    from litellm.llms.vertex_ai.gemini import transformation

    def is_there(*arguments: Any, **named: Any) -> bool:
        return False

    transformation.check_if_part_exists_in_parts = is_there


def _silence_logging() -> None:
    """Have litellm log nothing and count nothing: the books are ours."""
    from litellm.litellm_core_utils.litellm_logging import Logging

    def nothing(self: Any, *arguments: Any, **named: Any) -> None:
        return None

    async def nothing_later(self: Any, *arguments: Any, **named: Any) -> None:
        return None

    for name in ("success_handler", "failure_handler"):
        setattr(Logging, name, nothing)
        setattr(Logging, f"async_{name}", nothing_later)


def _mend_streams() -> None:
    """Have litellm read Cohere's streams through `plain_event`."""
    from litellm.llms.cohere.chat.v2_transformation import CohereV2ChatConfig
    from litellm.llms.cohere.common_utils import CohereV2ModelResponseIterator

    class CohereEvents(CohereV2ModelResponseIterator):
        """Reads the events that Cohere sends."""

        def chunk_parser(self, chunk: dict[str, Any]) -> Any:
            return super().chunk_parser(plain_event(chunk))

        def convert_str_chunk_to_generic_chunk(self, chunk: str | bytes) -> Any:
            line = (chunk.decode("utf-8", "replace") if isinstance(chunk, bytes) else chunk).strip()
            payload = line.removeprefix("data:").strip()
            return self.chunk_parser(json.loads(payload) if payload.startswith("{") else {})

    def reader(self: Any, streaming_response: Any, sync_stream: bool, json_mode: bool | None = False) -> Any:
        return CohereEvents(streaming_response, sync_stream, json_mode)

    def whole(self: Any, *arguments: Any, **named: Any) -> Any:
        answer = read_whole(self, *arguments, **named)
        raw = named["raw_response"] if "raw_response" in named else arguments[1]
        reason = raw.json().get("finish_reason")
        if isinstance(reason, str):
            setattr(answer.choices[0], FINISH_REASON, reason.lower())
        return answer

    read_whole = CohereV2ChatConfig.transform_response
    for name, mended in (("get_model_response_iterator", reader), ("transform_response", whole)):
        setattr(CohereV2ChatConfig, name, mended)


def plain_event(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event of Cohere's in the shape that litellm looks for."""
    match event:
        case {"type": "message-end", "delta": dict(delta)}:
            return {"event": "message-end", "data": {"delta": delta}}
        case {"type": "tool-call-start" | "tool-call-delta", "delta": {"message": {"tool_calls": found}}}:
            call = found[0] if isinstance(found, list) and found else found
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(call, dict) or not isinstance(function, dict):
                return event
            arguments = function.get("arguments") or ""
            named = {"id": call.get("id"), "name": function.get("name")}
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            return {"type": "tool-call-delta", "delta": {"tool_calls": [{**named, "arguments": text}]}}
    return event
