"""What the scripted provider says: replies that a good model might give, a function of the request. Pure."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from router.providers.base import ProviderRequest
from router.providers.scripted.json_instances import Instances
from router.providers.scripted.names import Script

SENTENCES = (
    "Here is what matters about {topic}.",
    "In short, {topic} depends on what you want to achieve.",
    "Most people begin with the simplest part of {topic} and build on it.",
    "It helps to write down what you already know about {topic}.",
    "A common mistake is to hurry; {topic} rewards a little patience.",
    "If in doubt, try the smallest version first and see whether it does what you need.",
    "There are usually two good ways, and the cheaper one is enough in everyday life.",
    "Check the result once more before you rely on it.",
    "A short list often works better than a long explanation.",
    "Let me know if you would like an example.",
)
THOUGHTS = (
    "The question is about {topic}.",
    "Let me note what is given and what is asked.",
    "I should keep the answer short and correct.",
    "First the simplest reading, then whether anything speaks against it.",
    "That holds up, so I can answer.",
)
_SUM = re.compile(r"(-?\d+)\s*([-+*x×/·])\s*(-?\d+)")
_VERDICT = re.compile(r"VERDICT: \w+")  # the first of those that a check may end with
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(slots=True)
class Reply:
    """One choice: text or calls, and the thinking before it."""

    text: str = ""
    thinking: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)


def reply_to(request: ProviderRequest, script: Script, index: int) -> Reply:
    """Return choice number `index`: the same for the same messages, seed and script."""
    dice = Dice(request, script, index)
    asked = last_text(request.messages)
    reply = Reply(thinking=_thinking(asked, dice) if request.think or script.thinks else "")
    if functions := functions_to_call(request, asked):
        reply.tool_calls = [_call(function, asked, dice, place) for place, function in enumerate(functions)]
    else:
        reply.text = _json_reply(request, asked) or _text(request, script, asked, dice)
    return reply


class Dice:
    """Throws that are the same for the same request, seed and choice."""

    def __init__(self, request: ProviderRequest, script: Script, index: int) -> None:
        seed = msgspec.json.encode([script.name, request.messages, request.params.get("seed"), index])
        self._state = hashlib.blake2b(seed, digest_size=16).digest()

    def throw(self, sides: int) -> int:
        """Draw a number from 0 to sides - 1."""
        self._state = hashlib.blake2b(self._state, digest_size=16).digest()
        return int.from_bytes(self._state[:8], "big") % sides

    def letters(self, length: int) -> str:
        """Draw letters and digits for an id."""
        self._state = hashlib.blake2b(self._state, digest_size=16).digest()
        return self._state.hex()[:length]


def last_text(messages: list[dict[str, Any]]) -> str:
    """Return the text of the last user message."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return text_of(message.get("content"))
    return ""


def text_of(content: Any) -> str:
    """Return the text of a message's content, its parts joined."""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in _parts(content) if isinstance(part.get("text"), str))


def _parts(content: Any) -> list[dict[str, Any]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def functions_to_call(request: ProviderRequest, asked: str) -> list[dict[str, Any]]:
    """Return the functions that this turn calls: the demanded one, else the likeliest whose result is not yet there."""
    functions = [tool["function"] for tool in request.params.get("tools") or () if tool.get("type") == "function"]
    if not functions:
        return []
    match request.params.get("tool_choice"):
        case "none":
            return []
        case {"function": {"name": str(name)}}:
            return [function for function in functions if function["name"] == name]
        case "required":
            return [_likeliest(functions, asked)]
        case _:
            has_result = request.messages[-1].get("role") in ("tool", "function")
            return [] if has_result else [_likeliest(functions, asked)]


def _likeliest(functions: list[dict[str, Any]], asked: str) -> dict[str, Any]:
    words = set(_WORD.findall(asked.casefold().replace("_", " ")))

    def likeness(function: dict[str, Any]) -> tuple[bool, int]:
        about = f"{function['name']} {function.get('description') or ''}".casefold().replace("_", " ")
        return function["name"] in asked, len(words & set(_WORD.findall(about)))

    return max(functions, key=likeness)


def _call(function: dict[str, Any], asked: str, dice: Dice, place: int) -> dict[str, Any]:
    arguments = Instances(asked).of(function.get("parameters") or {"type": "object"})
    text = msgspec.json.encode(arguments).decode()
    called = {"name": function["name"], "arguments": text}
    return {"index": place, "id": f"call_{dice.letters(24)}", "type": "function", "function": called}


def _json_reply(request: ProviderRequest, asked: str) -> str:
    """Make a reply in JSON where it is asked for."""
    match request.params.get("response_format"):
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return msgspec.json.encode(Instances(asked).of(schema)).decode()
        case {"type": "json_object"}:
            return msgspec.json.encode({"answer": f"something about {_topic(asked)}"}).decode()
        case _:
            return ""


def _text(request: ProviderRequest, script: Script, asked: str, dice: Dice) -> str:
    if script.kind == "echo":
        return asked or "…"
    last = request.messages[-1] if request.messages else {}
    if last.get("role") in ("tool", "function"):
        return f"The result is {text_of(last.get('content'))}."
    if verdict := _VERDICT.search(asked):
        return f"Worked out again from the beginning, this comes to the same.\n\n{verdict[0]}"
    if script.kind == "solver":
        return _solution(asked, script, dice)
    parts = [part for message in request.messages for part in _parts(message.get("content"))]
    images = sum(part.get("type") == "image_url" for part in parts)
    seen = f"I can see {images} image{'s' if images > 1 else ''}. " if images else ""
    topic = _topic(asked)
    first = dice.throw(len(SENTENCES))
    sentences = [SENTENCES[(first + step * 3) % len(SENTENCES)] for step in range(2 + dice.throw(3))]
    return seen + " ".join(sentences).format(topic=topic)


def _solution(asked: str, script: Script, dice: Dice) -> str:
    """Work out a sum, or make an answer up; right as often as the script says."""
    right = str(int(hashlib.blake2b(asked.encode(), digest_size=2).hexdigest(), 16) % 100)
    if match := _SUM.search(asked):
        right = _calculate(int(match[1]), match[2], int(match[3]))
    is_right = dice.throw(100) < script.percent
    answer = right if is_right else str(dice.throw(90) + 10)
    return f"Step by step, the quantities give {answer}.\nAnswer: {answer}"


def _calculate(left: int, sign: str, right: int) -> str:
    match sign:
        case "+":
            return str(left + right)
        case "-":
            return str(left - right)
        case "/":
            return f"{left / right:g}" if right else "undefined"
        case _:
            return str(left * right)


def _thinking(asked: str, dice: Dice) -> str:
    return " ".join(THOUGHTS[: 3 + dice.throw(3)]).format(topic=_topic(asked))


def _topic(asked: str) -> str:
    words = _WORD.findall(asked)
    return max(words, key=len).casefold() if words else "this"
