"""State that a provider wants back with the next request, beside the text: which there is, and who takes it. Pure.

It stands on an assistant's message (`reasoning_details`, `thinking_blocks`, ...), on a tool call (`extra_content` with
the signature of a thought) or on a part of the content (`cache_control`). It is opaque and bounded in size, goes to the
client as it came, and from there back to the family that made it and to no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import msgspec

from router.providers.base import ModelTarget
from router.providers.thinking_blocks import KEY as THINKING_BLOCKS
from router.providers.thinking_blocks import clean_blocks

LARGEST_STATE = 1_000_000  # bytes of JSON of one key of one message or call
REASONING_CONTENT, REASONING_DETAILS, EXTRA_CONTENT = "reasoning_content", "reasoning_details", "extra_content"
REASONING_OPAQUE, CACHE_CONTROL = "reasoning_opaque", "cache_control"
THOUGHT_SIGNATURE = "thought_signature"
# Where litellm keeps a signature: in the id of the call, behind this mark. Clients that drop what they do not know
# send ids back, so it stays there on the way to them.
SIGNED_ID = "__thought__"
# Google's own word for a call whose signature is lost, as when another model made the call.
NO_SIGNATURE = "skip_thought_signature_validator"
# Kimi and DeepSeek refuse an empty text where thinking is missing, and take a blank.
NO_THINKING = " "

STATE_KEYS = frozenset(
    {REASONING_DETAILS, EXTRA_CONTENT, REASONING_OPAQUE, THINKING_BLOCKS, "provider_specific_fields"}
)  # that `clean_state` looks for
# On messages, as they come from providers, besides blocks: each with the type that it has.
ON_MESSAGES: Mapping[str, type] = {REASONING_DETAILS: list, EXTRA_CONTENT: dict, REASONING_OPAQUE: str}


@dataclass(frozen=True, slots=True)
class StateFamily:
    """Who makes and takes which state: keys of messages, whether calls are signed, whether parts carry cache marks."""

    name: str
    on_messages: frozenset[str] = frozenset()
    signs_calls: bool = False
    marks_cache: bool = False
    thinks_in_parts: bool = False  # Mistral's thinking is part of the content, and comes back there


_GOOGLE = StateFamily("google", frozenset({EXTRA_CONTENT}), signs_calls=True)
_ANTHROPIC = StateFamily("anthropic", frozenset({THINKING_BLOCKS}), marks_cache=True)
_OPENROUTER = StateFamily("openrouter", frozenset({REASONING_DETAILS, "reasoning"}), marks_cache=True)
_SPOKEN = StateFamily("spoken", frozenset({REASONING_CONTENT}))  # thinking itself is the state
_MINIMAX = StateFamily("minimax", frozenset({REASONING_CONTENT, REASONING_DETAILS}))
_QWEN = StateFamily("qwen", frozenset({REASONING_CONTENT}), marks_cache=True)
_MISTRAL = StateFamily("mistral", thinks_in_parts=True)
_COPILOT = StateFamily("copilot", frozenset({REASONING_OPAQUE}))
_NOBODY = StateFamily("none")
# A server that is only known by its address may be anyone's: what it may have made goes back to it.
_UNKNOWN = StateFamily("unknown", frozenset({EXTRA_CONTENT, REASONING_DETAILS, REASONING_OPAQUE}), signs_calls=True)

_BY_PROVIDER: Mapping[str, StateFamily] = {
    "gemini": _GOOGLE,
    "anthropic": _ANTHROPIC,
    "openrouter": _OPENROUTER,
    "deepseek": _SPOKEN,
    "moonshot": _SPOKEN,
    "zai": _SPOKEN,
    "xiaomi_mimo": _SPOKEN,
    "minimax": _MINIMAX,
    "dashscope": _QWEN,
    "mistral": _MISTRAL,
    "github_copilot": _COPILOT,
}
# Servers of many makers' models: the model's name tells whose it is.
_MANY_MAKERS = frozenset(
    {"bedrock", "vertex_ai", "azure_ai", "fireworks_ai", "hosted_vllm", "siliconflow", "volcengine", "novita", "nebius"}
)
_BY_MODEL = (
    ("claude", _ANTHROPIC),
    ("gemini", _GOOGLE),
    ("deepseek", _SPOKEN),
    ("kimi", _SPOKEN),
    ("moonshot", _SPOKEN),
    ("glm", _SPOKEN),
    ("mimo-", _SPOKEN),
    ("minimax", _MINIMAX),
    ("qwen", _QWEN),
    ("magistral", _MISTRAL),
)
_BY_HOST = (
    ("api.openai.com", _NOBODY),
    ("openrouter.ai", _OPENROUTER),
    ("googleapis.com", _GOOGLE),
    ("githubcopilot.com", _COPILOT),
    ("mistral.ai", _MISTRAL),
)


def state_family(target: ModelTarget) -> StateFamily:
    """Tell by name and address whose state a target takes."""
    return _state_family(target.name, target.api_base)


@lru_cache(maxsize=1_024)
def _state_family(name: str, api_base: str | None) -> StateFamily:
    target = ModelTarget(name, api_base)
    own = _BY_PROVIDER.get(target.provider)
    if own is not None:
        return own
    is_anyones = target.provider == "openai" and target.api_base is not None
    if not is_anyones and target.provider not in _MANY_MAKERS:
        return _NOBODY
    host = urlsplit(target.api_base or "").hostname or ""
    for name, family in _BY_HOST if is_anyones else ():
        if host == name or host.endswith(f".{name}"):
            return family
    model = target.model.lower()
    for name, family in _BY_MODEL:
        if name in model:
            return family
    return _UNKNOWN if is_anyones else _NOBODY


def is_bounded(value: object) -> bool:
    """Tell whether state is small enough to be carried."""
    try:
        return len(msgspec.json.encode(value)) <= LARGEST_STATE
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError, TypeError, ValueError):
        return False


def signature_of(call: Mapping[str, Any]) -> str | None:
    """Return the signature of the thought behind a tool call, wherever a client kept it."""
    for holder in (call.get(EXTRA_CONTENT), call.get("provider_specific_fields")):
        if isinstance(holder, dict):
            google = holder.get("google", holder)
            signature = google.get(THOUGHT_SIGNATURE) if isinstance(google, dict) else None
            if isinstance(signature, str) and signature:
                return signature
    call_id = call.get("id")
    if isinstance(call_id, str) and SIGNED_ID in call_id:
        return call_id.partition(SIGNED_ID)[2] or None
    return None


def extra_content_of(signature: str) -> dict[str, Any]:
    """Write a signature as Google's own dialect of OpenAI's does, under `extra_content`."""
    return {"google": {THOUGHT_SIGNATURE: signature}}


def cache_mark(value: object) -> dict[str, str] | None:
    """Return a mark that a prefix is worth keeping, with its own keys only; None for what is none."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return None
    return {key: text for key in ("type", "ttl") if isinstance(text := value.get(key), str) and len(text) <= 32}


def clean_state(message: Mapping[str, Any], dropped: set[str]) -> dict[str, Any]:
    """Return the state on a client's assistant message; what is of no use or too large is named in `dropped`."""
    state: dict[str, Any] = {}
    for key, kind in ON_MESSAGES.items():
        value = message.get(key)
        if value:
            if isinstance(value, kind) and is_bounded(value):
                state[key] = value
            else:
                dropped.add(f"messages.{key}")
    if given := message.get(THINKING_BLOCKS):
        blocks = clean_blocks(given)
        if blocks is not None:
            state[THINKING_BLOCKS] = blocks
        if blocks is None or len(blocks) < len(given):
            dropped.add(f"messages.{THINKING_BLOCKS}")
    fields = message.get("provider_specific_fields")  # litellm's, on messages that its own client gives back
    if isinstance(fields, dict) and EXTRA_CONTENT not in state:
        signatures = fields.get("thought_signatures")
        if isinstance(signatures, list) and signatures and isinstance(signatures[0], str) and is_bounded(signatures[0]):
            state[EXTRA_CONTENT] = extra_content_of(signatures[0])
    return state


def clean_call_state(call: Mapping[str, Any], dropped: set[str]) -> dict[str, Any]:
    """Return the state on a client's tool call."""
    extra = call.get(EXTRA_CONTENT)
    if extra:
        if isinstance(extra, dict) and is_bounded(extra):
            return {EXTRA_CONTENT: extra}
        dropped.add(f"messages.tool_calls.{EXTRA_CONTENT}")
        return {}
    if call.get("provider_specific_fields") and (signature := signature_of(call)) and is_bounded(signature):
        return {EXTRA_CONTENT: extra_content_of(signature)}
    return {}


def join_state(so_far: dict[str, Any] | None, piece: dict[str, Any]) -> dict[str, Any]:
    """Join what a step of a stream adds to what came before: details go on, of everything else the last one counts."""
    joined = {**(so_far or {}), **piece}
    if so_far and REASONING_DETAILS in so_far and REASONING_DETAILS in piece:
        joined[REASONING_DETAILS] = join_details(so_far[REASONING_DETAILS], piece[REASONING_DETAILS])
    return joined


def join_details(so_far: list[Any], more: list[Any]) -> list[Any]:
    """Join pieces of `reasoning_details` to the one of the same type and index before them: texts go on."""
    joined = list(so_far)
    for piece in more:
        last = joined[-1] if joined else None
        if not (isinstance(piece, dict) and isinstance(last, dict) and _goes_on(last, piece)):
            joined.append(piece)
            continue
        texts = {key: (last.get(key) or "") + piece[key] for key in _TEXTS if isinstance(piece.get(key), str)}
        joined[-1] = {**last, **{key: value for key, value in piece.items() if value is not None}, **texts}
    return joined


_TEXTS = ("text", "summary")


def _goes_on(last: dict[str, Any], piece: dict[str, Any]) -> bool:
    is_text = any(isinstance(piece.get(key), str) for key in (*_TEXTS, "signature"))
    return is_text and last.get("type") == piece.get("type") and last.get("index") == piece.get("index")


def state_of(reasoning_details: Any, extra_content: Any, reasoning_opaque: Any) -> dict[str, Any] | None:
    """Return the state in a provider's message or step; what is of no use or too large to be carried is left out."""
    given = zip(ON_MESSAGES.items(), (reasoning_details, extra_content, reasoning_opaque), strict=True)
    state = {key: value for (key, kind), value in given if value and isinstance(value, kind) and is_bounded(value)}
    return state or None
