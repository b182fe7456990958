"""What litellm hands back, as OpenAI's wire has it: without its own keys, with state where clients look. Pure."""

from typing import Any

import msgspec

from router.providers.openai.salvage import answer_of, clean
from router.providers.openai.wire import WireAnswer
from router.providers.state import EXTRA_CONTENT, SIGNED_ID, extra_content_of, signature_of
from router.types import UNREADABLE

OWN_KEY = "provider_specific_fields"  # of messages, deltas, choices and calls


def wire_answer(response: Any, dropped: list[str]) -> WireAnswer:
    """Return an answer or a chunk of litellm's; what a client may miss and cannot be read is named in `dropped`.

    Halves of letters are still in what goes on in the next chunk, see `router.providers.openai.letters`.
    """
    found = response.model_dump()
    for choice in found.get("choices") or ():
        for key in ("message", "delta"):
            if isinstance(said := choice.get(key), dict):
                _tidy(said)
    try:
        msgspec.json.encode(found)
    except UnicodeEncodeError:  # the JSON reader of its HTTP library lets halves pass
        return answer_of(clean(found), dropped)
    except (TypeError, ValueError, OverflowError, RecursionError):  # something else in it is no JSON
        pass
    try:
        return msgspec.convert(found, WireAnswer, strict=False)
    except UNREADABLE:
        return answer_of(found, dropped)


def _tidy(said: dict[str, Any]) -> None:
    """Take litellm's own keys off a message, and put signatures of thoughts where Google's dialect has them."""
    fields = said.pop(OWN_KEY, None)
    signatures = fields.get("thought_signatures") if isinstance(fields, dict) else None
    calls = said.get("tool_calls") or ()
    for call in calls:
        signature = signature_of(call)
        call.pop(OWN_KEY, None)
        if isinstance(function := call.get("function"), dict):
            function.pop(OWN_KEY, None)
        if signature is not None and SIGNED_ID not in (call.get("id") or ""):
            call[EXTRA_CONTENT] = extra_content_of(signature)
    if signatures and not calls and isinstance(signatures[0], str):
        said[EXTRA_CONTENT] = extra_content_of(signatures[0])
