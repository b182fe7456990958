"""What a small local model is asked: our request as bodies in llama.cpp's dialect. Pure.

A model of this size knows plain chat turns only, so everything else is written as text; tools that must be called
and JSON schemas become a grammar that its output cannot leave.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from router.errors import ProviderRefused
from router.providers.base import ProviderRequest

# What the model's authors recommend; clients who care send their own.
DEFAULT_SAMPLING = {"temperature": 0.2, "top_p": 0.9}
SAMPLING = ("temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty")
UNDERSTOOD = {*SAMPLING, "n", "logprobs", "top_logprobs", "response_format", "tools", "tool_choice"}
MOST_THINKING_TOKENS = 512  # a quarter of the context: question, thinking and answer share it
# Bookkeeping of the client: not for the model, so nothing is lost without it.
BOOKKEEPING = {"user", "metadata", "store", "safety_identifier", "prompt_cache_key", "parallel_tool_calls"}

# Of a JSON schema: beyond, writing its grammar takes longer than answering.
MOST_SCHEMA_NODES = 200
MOST_SCHEMA_BYTES = 32_768
THINK_FIRST = "Think step by step: first write your reasoning in a few short steps, then answer when asked to."
ANSWER_NOW = "So what is the final answer to my question? Answer it directly."


@dataclass(frozen=True, slots=True)
class TokenBudget:
    """How many tokens each phase may generate; no thinking at 0."""

    thinking: int
    visible: int
    total: int | None

    def remaining_after(self, thought: int) -> int:
        """Return the tokens left for the visible text after `thought` tokens of thinking."""
        return self.visible if self.total is None else max(1, min(self.visible, self.total - thought))


def budget_of(request: ProviderRequest, *, visible: int, thinking: int) -> TokenBudget:
    """Share out the limits of a request; `visible` and `thinking` are what it gets without limits of its own."""
    wanted = request.max_visible_tokens or request.max_output_tokens or visible
    total = request.max_output_tokens
    if not request.think:
        return TokenBudget(0, wanted, total)
    thinking = min(request.target.max_thinking_tokens or thinking, MOST_THINKING_TOKENS)
    return TokenBudget(thinking if total is None else min(thinking, total // 2), wanted, total)


def answer_body(request: ProviderRequest, turns: Sequence[dict[str, str]], max_tokens: int) -> dict[str, Any]:
    """Return the body that asks for the visible answer."""
    params = request.params
    body = _body(turns, max_tokens) | {key: params[key] for key in SAMPLING if params.get(key) is not None}
    if params.get("logprobs"):
        body |= {"logprobs": True, "top_logprobs": max(1, params.get("top_logprobs") or 0)}
    if demanded := tools_to_call(params):
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "call", "schema": _calls(demanded)}}
    elif (params.get("response_format") or {}).get("type") in ("json_object", "json_schema"):
        body["response_format"] = params["response_format"]
    wanted = body.get("response_format")
    if _nodes(wanted, MOST_SCHEMA_NODES) < 0 or len(msgspec.json.encode(wanted)) > MOST_SCHEMA_BYTES:
        raise ProviderRefused(
            "the schema is too large for the embedded model", param="response_format", provider_status=400
        )
    return body


def thinking_body(request: ProviderRequest, turns: Sequence[dict[str, str]], max_tokens: int) -> dict[str, Any]:
    """Return the body that asks for thinking only; stop words, formats and log-probabilities belong to the answer."""
    sampling = {key: request.params[key] for key in SAMPLING if request.params.get(key) is not None and key != "stop"}
    return _body(ask_to_think(turns), max_tokens) | sampling


def ask_to_think(turns: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Put the turns under a system message that asks for steps."""
    if turns[0]["role"] != "system":
        return [{"role": "system", "content": THINK_FIRST}, *turns]
    return [{"role": "system", "content": f"{turns[0]['content']}\n\n{THINK_FIRST}"}, *turns[1:]]


def after_thinking(turns: Sequence[dict[str, str]], notes: str) -> list[dict[str, str]]:
    """Return the turns, the thinking, and the question again: what was thought is in the engine's cache already."""
    asked = {"role": "user", "content": ANSWER_NOW}
    return [*ask_to_think(turns), {"role": "assistant", "content": notes.strip()}, asked]


def turns_of(request: ProviderRequest) -> list[dict[str, str]]:
    """Write the messages as plain turns; raises ProviderRefused for what is no text."""
    turns = []
    for message in request.messages:
        text = _text(message.get("content"), request.target.name)
        match message.get("role"):
            case "assistant":
                turns.append(
                    {"role": "assistant", "content": "\n".join([*filter(None, [text]), *_calls_made(message)])}
                )
            case "system" | "developer":
                turns.append({"role": "system", "content": text})
            case "tool" | "function":
                turns.append({"role": "user", "content": f"The tool returned: {text}"})
            case _:
                turns.append({"role": "user", "content": text})
    return turns


def list_dropped(request: ProviderRequest) -> list[str]:
    """Name the parameters that are not heeded."""
    given = {key for key, value in request.params.items() if value is not None}
    dropped = given - UNDERSTOOD - BOOKKEEPING
    if given & {"tools"} and request.params.get("tool_choice") != "none" and not tools_to_call(request.params):
        dropped.add("tools")
    return sorted(dropped)


def tools_to_call(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the functions of which one must be called; none where that is left to the model, which cannot judge it."""
    functions = [tool["function"] for tool in params.get("tools") or () if tool.get("type") == "function"]
    match params.get("tool_choice"):
        case "required":
            return functions
        case {"function": {"name": str(name)}}:
            return [function for function in functions if function["name"] == name]
        case _:
            return []


def _nodes(value: Any, left: int) -> int:
    """Count down from `left` for each object within; negative when there are more."""
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if left < 0:
            break
        left = _nodes(one, left - isinstance(one, dict))
    return left


def _body(turns: Sequence[dict[str, str]], max_tokens: int) -> dict[str, Any]:
    shape = {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
    counts = {"timings_per_token": True, "max_tokens": max_tokens}
    return {"messages": list(turns), **shape, **counts, **DEFAULT_SAMPLING}


def _calls(functions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of a call of one of the functions."""
    alternatives = [
        {
            "type": "object",
            "properties": {
                "name": {"const": function["name"]},
                "arguments": function.get("parameters") or {"type": "object"},
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for function in functions
    ]
    return alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}


def _text(content: Any, model: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    parts = []
    for part in content:
        if part.get("type") not in ("text", "refusal"):
            raise ProviderRefused(
                f"{model} takes text only", param="messages", code="unsupported_content", provider_status=400
            )
        parts.append(part.get("text") or part.get("refusal") or "")
    return "\n".join(parts)


def _calls_made(message: dict[str, Any]) -> list[str]:
    functions = [call["function"] for call in message.get("tool_calls") or () if "function" in call]
    return [f"I call {function['name']}({function.get('arguments', '')})." for function in functions]
