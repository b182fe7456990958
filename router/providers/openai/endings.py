"""Why an answer ended: the words of many vendors as the four that OpenAI's clients know. Pure."""

from router.errors import CONTENT_FILTER

STOP, LENGTH, TOOL_CALLS = "stop", "length", "tool_calls"

# Spelt in lower case with underscores, without the name of an enumeration in front. What is not here is `stop`.
ENDINGS = {
    "length": LENGTH,
    "max_tokens": LENGTH,
    "max_output_tokens": LENGTH,
    "max_length": LENGTH,
    "max_new_tokens": LENGTH,
    "model_length": LENGTH,
    "token_limit": LENGTH,
    "token_limit_reached": LENGTH,
    "limit": LENGTH,
    "incomplete": LENGTH,
    "context_length": LENGTH,
    "context_length_exceeded": LENGTH,
    "model_context_window_exceeded": LENGTH,
    "tool_calls": TOOL_CALLS,
    "tool_call": TOOL_CALLS,
    "tool_use": TOOL_CALLS,
    "tools": TOOL_CALLS,
    "function_call": TOOL_CALLS,
    "function_calls": TOOL_CALLS,
    "content_filter": CONTENT_FILTER,
    "content_filtered": CONTENT_FILTER,
    "content_filter_error": CONTENT_FILTER,
    "safety": CONTENT_FILTER,
    "sensitive": CONTENT_FILTER,
    "recitation": CONTENT_FILTER,
    "blocklist": CONTENT_FILTER,
    "prohibited_content": CONTENT_FILTER,
    "spii": CONTENT_FILTER,
    "image_safety": CONTENT_FILTER,
    "language": CONTENT_FILTER,
    "refusal": CONTENT_FILTER,
    "refused": CONTENT_FILTER,
    "moderation": CONTENT_FILTER,
    "flagged": CONTENT_FILTER,
    "guardrail_intervened": CONTENT_FILTER,
    "error_toxic": CONTENT_FILTER,
}
# The provider failed, whatever had come by then.
FAILURES = frozenset(
    {
        "error",
        "failed",
        "network_error",
        "server_error",
        "internal_error",
        "insufficient_system_resource",
        "abort",
        "aborted",
        "cancelled",
        "canceled",
        "timeout",
        "time_limit",
        "overloaded",
    }
)
# It failed where nothing came; where something came, that is the answer.
EMPTY_HANDED = frozenset(
    {"malformed_function_call", "unexpected_tool_call", "malformed_response", "no_image", "other", "unknown"}
)
_WEIGHT = {STOP: 0, TOOL_CALLS: 1, LENGTH: 2, CONTENT_FILTER: 3}
PLAIN_ENDINGS = _WEIGHT.keys()  # OpenAI's own words


def ending_of(reason: str | None, *, has_calls: bool, names_tool: bool = False) -> str:
    """Return a finish reason that OpenAI's clients know, and that fits what was said.

    `tool_calls` and calls belong together. `stop` beside calls stays where the client named the tool, as at OpenAI.
    """
    ending = reason if reason in _WEIGHT else ENDINGS.get(_spelt(reason), STOP)
    if ending == TOOL_CALLS or (ending == STOP and has_calls):
        keeps_stop = names_tool and (not reason or reason == STOP)
        return TOOL_CALLS if has_calls and not keeps_stop else STOP
    return ending


def heavier(one: str | None, other: str) -> str:
    """Return the one of two reasons given for the same end that says more."""
    if one is None:
        return other
    first, second = (_WEIGHT[ENDINGS.get(_spelt(reason), STOP)] for reason in (one, other))
    return one if first >= second else other


def is_failure(reason: str, *, has_said: bool) -> bool:
    """Tell whether a finish reason means that the provider failed."""
    if reason in _WEIGHT:
        return False
    spelt = _spelt(reason)
    return spelt in FAILURES or (not has_said and spelt in EMPTY_HANDED)


def _spelt(reason: str | None) -> str:
    spelt = (reason or "").strip().lower().replace("-", "_").replace(" ", "_")
    return spelt.rpartition(".")[2].removeprefix("finish_reason_")
