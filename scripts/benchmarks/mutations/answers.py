"""Made-up answers in OpenAI's dialect, and mutations of them. Pure: randomness is a parameter.

A mutation either leaves an answer readable for a person, who then must get it, or breaks it, and then an error in the
provider's name is right. What is never right is an error of our own, and usage that is booked as exact and contradicts
the text.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

PLAIN = "the river runs past old mills and three bridges before it meets the sea; der Fluß fließt, где зимой,"
ODD = '北京 大阪 서울 naïve 😀 🚀 1,024 (x) {y} "quoted" back\\slash <tag> data: [DONE] &amp; a/b tab end.'
WORDS = f"{PLAIN} {ODD}".split()
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("look", "ask")]
ODD_VALUES: tuple[Any, ...] = (
    None,
    [],
    {},
    "",
    "x",
    7,
    -1,
    0,
    1e300,
    10**25,
    True,
    False,
    [1],
    {"a": {"b": []}},
    "\ud83d",
)
ESSENTIAL = frozenset(
    {"choices", "message", "delta", "content", "tool_calls", "function", "name", "arguments", "error"}
)
NOISE = (b": ping\n\n", b"data: \n\n", b"data:\n\n", b"event: ping\ndata: ping\n\n", b"id: 7\nretry: 10\n\n", b"\n\n\n")


@dataclass
class Case:
    """One answer on its way: its JSON until it is framed, then bytes; and what a person can read of it."""

    number: int
    streamed: bool
    text: str
    calls: list[tuple[str, dict[str, Any]]]
    parts: list[dict[str, Any]]  # chunks, or the one body
    random: Random
    is_readable: bool = True
    done: list[str] = field(default_factory=list)
    has_end_mark: bool = True
    content_type: str = ""
    ascii_only: bool = False
    bad_bytes: bool = False
    framing: str = "plain"
    packet: int = 0
    cut_at: int | None = None  # bytes
    aborts: bool = False
    noise: bool = False
    prefix: bytes = b""
    suffix: bytes = b""

    def body(self) -> bytes:
        """The bytes that the provider sends."""
        texts = [json.dumps(part, ensure_ascii=self.ascii_only, allow_nan=True) for part in self.parts]
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        if self.bad_bytes:
            noise = self.random.choice((b"\xff\xc3", b"\xe5\x8c", b"\x80"))
            encoded = [text.replace(b'content": "', b'content": "' + noise, 1) for text in encoded]
        if not self.streamed:
            match self.framing:
                case "utf-16":
                    return texts[0].encode("utf-16", "surrogatepass")[: self.cut_at]
                case "pretty":
                    encoded = [json.dumps(self.parts[0], indent=1, ensure_ascii=True).encode()]
                case _:
                    pass
            return (self.prefix + encoded[0] + self.suffix)[: self.cut_at]
        framed = [self._framed(text) for text in encoded]
        if self.noise:
            framed = [
                piece
                for one in framed
                for piece in ([self.random.choice(NOISE), one] if self.random.random() < 0.4 else [one])
            ]
        ending = b"data: [DONE]\n\n" if self.has_end_mark else b""
        body = self.prefix + b"".join(framed) + ending
        if self.framing in ("crlf", "cr"):
            body = body.replace(b"\n", b"\r\n" if self.framing == "crlf" else b"\r")
        return body[: self.cut_at]

    def _framed(self, text: bytes) -> bytes:
        match self.framing:
            case "no space":
                return b"data:" + text + b"\n\n"
            case "no blank line":
                return b"data: " + text + b"\n"
            case "several lines":
                return b"data: " + text.replace(b', "', b',\ndata: "') + b"\n\n"
            case "bare":
                return text + b"\n"
            case "two at once":
                return b"data: " + text + b'{"choices": []}\n\n'
            case _:
                return b"data: " + text + b"\n\n"


def a_case(number: int, seed: int) -> Case:
    """Make up an answer and mutate it."""
    random = Random(f"{seed}/{number}")
    streamed = random.random() < 0.65
    text = " ".join(random.choices(WORDS, k=random.randint(3, 70)))
    calls = []
    if random.random() < 0.35:
        calls = [
            (random.choice(("look", "ask")), {**_arguments(random), "call": n}) for n in range(random.randint(1, 3))
        ]
        text = text if random.random() < 0.3 else ""
    thinking = " ".join(random.choices(WORDS[:12], k=8)) if random.random() < 0.2 else ""
    made = _chunks if streamed else _whole
    case = Case(number, streamed, text, calls, made(random, text, calls, thinking), random)
    chosen = random.sample(MUTATIONS, random.choice((1, 1, 2, 2, 3)))
    of_calls = [one for one in chosen if one in OF_CALLS]
    for mutate in sorted(set(chosen) - set(of_calls[1:]), key=lambda one: LAST.get(one, 0)):
        mutate(case)
        case.done.append(mutate.__name__)
        if mutate is not cut_off and not _has_end(case):
            case.is_readable = False
    return case


def _has_end(case: Case) -> bool:
    """Tell whether anything says that a stream has come to its end."""
    if not case.streamed or case.has_end_mark:
        return True
    last = case.parts[-1]
    ends = [choice.get("finish_reason") for part in case.parts for choice in part.get("choices") or () if choice]
    has_usage = isinstance(last.get("usage"), dict) and bool(last["usage"]) and not last.get("choices")
    return has_usage or any(isinstance(end, (str, dict)) and end for end in ends)


def _arguments(random: Random) -> dict[str, Any]:
    return {
        random.choice(("city", "q", "n")): random.choice(("Oslo", "北京", 7, None, {"a": [1, 2]}, 'a "b" {c}'))
        for _ in range(2)
    }


def _usage(text: str, calls: list[Any]) -> dict[str, Any]:
    output = max(2, round(len(text.encode()) / 4) + 20 * len(calls))
    return {
        "prompt_tokens": 31,
        "completion_tokens": output,
        "total_tokens": 31 + output,
        "prompt_tokens_details": {"cached_tokens": 8},
    }


def _envelope(choices: list[dict[str, Any]], kind: str, usage: Any = None) -> dict[str, Any]:
    return {
        "id": "c1",
        "object": kind,
        "created": 1,
        "model": "m",
        "system_fingerprint": "fp",
        "choices": choices,
        "usage": usage,
    }


def _call(number: int, call: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"id": f"call_{number}", "type": "function", "function": {"name": call[0], "arguments": json.dumps(call[1])}}


def _whole(random: Random, text: str, calls: list[tuple[str, dict[str, Any]]], thinking: str) -> list[dict[str, Any]]:
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
    if calls:
        message["tool_calls"] = [_call(number, call) for number, call in enumerate(calls)]
    if thinking:
        message["reasoning_content"] = thinking
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if calls else "stop"}
    return [_envelope([choice], "chat.completion", _usage(text, calls))]


def _chunks(random: Random, text: str, calls: list[tuple[str, dict[str, Any]]], thinking: str) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in _cut(random, thinking)]
    deltas += [{"content": piece} for piece in _cut(random, text)]
    for number, call in enumerate(calls):
        whole = _call(number, call)
        arguments = whole["function"]["arguments"]
        whole["function"]["arguments"] = ""
        deltas.append({"tool_calls": [{"index": number, **whole}]})
        deltas += [
            {"tool_calls": [{"index": number, "function": {"arguments": one}}]} for one in _cut(random, arguments)
        ]
    kind = "chat.completion.chunk"
    chunks = [
        _envelope([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}], kind) for delta in deltas
    ]
    end = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "tool_calls" if calls else "stop"}
    return [*chunks, _envelope([end], kind), _envelope([], kind, _usage(text, calls))]


def _cut(random: Random, text: str) -> list[str]:
    pieces, at = [], 0
    while at < len(text):
        size = random.randint(1, 12)
        pieces.append(text[at : at + size])
        at += size
    return pieces


def _words(case: Case) -> list[dict[str, Any]]:
    """Every message or delta of the case that is one."""
    choices = [choice for part in case.parts for choice in part.get("choices") or () if isinstance(choice, dict)]
    return [
        words for choice in choices for words in (choice.get("message"), choice.get("delta")) if isinstance(words, dict)
    ]


def _pieces(case: Case) -> list[dict[str, Any]]:
    return [call for words in _words(case) for call in words.get("tool_calls") or () if isinstance(call, dict)]


# ------------------------------------------------------------------------------------------------ types
def a_field_of_another_type(case: Case) -> None:
    """Give any field another value; what is said is broken by it."""
    place: Any = case.random.choice([part for part in case.parts if part])
    path: list[str] = []
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = case.random.choice(list(keys))
        path.append(str(key))
        inner = place[key]
        if isinstance(inner, (dict, list)) and inner and case.random.random() < 0.75:
            place = inner
            continue
        odd = case.random.choice(ODD_VALUES)
        is_said = _is_said(path, inner)
        is_called = path[-1] in ("index", "id") and "tool_calls" in path and len(case.calls) > 1
        if (is_said or is_called) and odd != inner:
            case.is_readable = False
        place[key] = odd
        return


def _is_said(path: list[str], value: Any) -> bool:
    """Tell whether the answer is in what stands at this path: in it, or around what it says."""
    names = [one for one in path if not one.isdigit()]
    if names[-1] in ("reasoning_content",) or "usage" in names:
        return False
    return (names[-1] in ESSENTIAL and value not in (None, "", [], {})) or (path[-1].isdigit() and bool(value))


def unknown_fields(case: Case) -> None:
    """Add fields that nobody knows, at every level."""
    for target in (*case.parts, *_words(case), *_pieces(case)):
        target[f"x_{case.random.randint(0, 99)}"] = case.random.choice(ODD_VALUES)


def fields_left_out(case: Case) -> None:
    """Leave out fields that only say what is plain anyway."""
    for part in case.parts:
        for key in ("id", "object", "created", "model", "system_fingerprint"):
            part.pop(key, None)
        for choice in part.get("choices") or ():
            if isinstance(choice, dict):
                choice.pop("index", None)
                choice.pop("logprobs", None)


def odd_usage(case: Case) -> None:
    """Report usage that cannot be, or in another place."""
    usage: Any = case.random.choice(
        (
            {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
            {"prompt_tokens": 31, "completion_tokens": 0, "total_tokens": 31},
            {"prompt_tokens": 0, "completion_tokens": 60, "total_tokens": 60},
            {"prompt_tokens": 31, "completion_tokens": 10**9, "total_tokens": 10**9 + 31},
            {"prompt_tokens": -1, "completion_tokens": 4, "total_tokens": 3},
            {"prompt_tokens": "31", "completion_tokens": "many"},
            {"prompt_tokens": 31, "completion_tokens": 1, "total_tokens": 7},
            {"total_tokens": 99},
            [],
            "",
            None,
            float("nan"),
            {"prompt_tokens": float("inf"), "completion_tokens": float("nan")},
        )
    )
    for part in case.parts:
        if part.get("usage"):
            part["usage"] = usage
    if case.random.random() < 0.3:
        for part in case.parts:
            part["usage"] = usage
    if case.random.random() < 0.3 and (choices := case.parts[-1].get("choices") or case.parts[-2].get("choices")):
        choices[0]["usage"] = usage


def another_finish_reason(case: Case) -> None:
    """End in other words, or in none."""
    reason: Any = case.random.choice(("", None, "eos", "STOP", "end_turn", "tool_use", 7, {"type": "stop"}, []))
    for part in case.parts:
        for choice in part.get("choices") or ():
            if isinstance(choice, dict) and choice.get("finish_reason"):
                choice["finish_reason"] = reason


def content_in_parts(case: Case) -> None:
    """Say the text in parts."""
    for words in _words(case):
        if isinstance(words.get("content"), str) and words["content"]:
            words["content"] = [{"type": "text", "text": words["content"]}]


def not_a_number(case: Case) -> None:
    """Put numbers without end beside the answer."""
    for part in case.parts:
        part["logit"] = case.random.choice((float("nan"), float("inf"), -float("inf")))


# ------------------------------------------------------------------------------------------------ encodings
def bytes_that_are_no_letters(case: Case) -> None:
    """Begin what is said with bytes that are no UTF-8."""
    case.bad_bytes = not case.ascii_only


def escaped_letters(case: Case) -> None:
    """Escape every letter beyond ASCII, and cut pairs in two where the text is cut."""
    case.ascii_only, case.bad_bytes = True, False
    for words in _words(case):
        if isinstance(words.get("content"), str):
            words["content"] = "".join(map(_as_pair, words["content"]))
    if case.streamed:
        _split_pairs(case)


def _as_pair(letter: str) -> str:
    return letter.encode("utf-16-le").decode("utf-16-le", "surrogatepass") if ord(letter) < 0x10000 else _halves(letter)


def _halves(letter: str) -> str:
    code = ord(letter) - 0x10000
    return chr(0xD800 + (code >> 10)) + chr(0xDC00 + (code & 0x3FF))


def _split_pairs(case: Case) -> None:
    """Move the second half of a pair at the end of a piece into the next one."""
    said = [words for words in _words(case) if isinstance(words.get("content"), str)]
    for one, other in pairwise(said):
        if one["content"] and "\udc00" <= one["content"][-1] <= "\udfff":
            other["content"] = one["content"][-1] + other["content"]
            one["content"] = one["content"][:-1]


def a_byte_order_mark(case: Case) -> None:
    """Begin with a byte order mark."""
    case.prefix = b"\xef\xbb\xbf"


def another_encoding(case: Case) -> None:
    """Send a whole body in UTF-16, or with line breaks."""
    if not case.streamed:
        case.framing = case.random.choice(("utf-16", "pretty"))


def something_behind_it(case: Case) -> None:
    """Send something behind a whole body."""
    if not case.streamed:
        case.suffix = case.random.choice((b"\n\n", b"\n\ndata: [DONE]\n\n", b"</html>", b"\x00"))


# ------------------------------------------------------------------------------------------------ cuts, order, frames
def another_framing(case: Case) -> None:
    """Write events in another way."""
    if case.streamed:
        case.framing = case.random.choice(
            ("crlf", "cr", "no space", "no blank line", "several lines", "bare", "two at once")
        )


def signs_of_life(case: Case) -> None:
    """Put comments, empty events and pings between the chunks."""
    case.noise = True


def small_packets(case: Case) -> None:
    """Send it in packets of a few bytes."""
    case.packet = case.random.choice((1, 2, 3, 7, 40))


def another_content_type(case: Case) -> None:
    """Call it something else."""
    case.content_type = case.random.choice(
        ("application/json", "text/plain", "text/event-stream", "application/octet-stream", "text/html")
    )


def no_end_mark(case: Case) -> None:
    """Leave [DONE] out."""
    case.has_end_mark = False


def cut_off(case: Case) -> None:
    """Break off somewhere: an answer cut before its end is none."""
    whole = case.body()
    case.cut_at = case.random.randint(0, len(whole))
    case.aborts = case.random.random() < 0.5
    case.is_readable = False


def the_end_twice(case: Case) -> None:
    """Say the end twice, or in every chunk."""
    if not case.streamed:
        return
    if case.random.random() < 0.5:
        ends = [part for part in case.parts for choice in part.get("choices") or () if choice.get("finish_reason")]
        case.parts.append(json.loads(json.dumps(ends[-1])) if ends else {"choices": []})
        return
    for part in case.parts:
        for choice in part.get("choices") or ():
            choice["finish_reason"] = "stop"


def usage_elsewhere(case: Case) -> None:
    """Report usage first, in the middle, or in every chunk."""
    if case.streamed:
        usage = case.parts.pop()
        place = case.random.choice((0, len(case.parts) // 2, len(case.parts) - 1))
        case.parts.insert(place, usage)
        if case.random.random() < 0.4:
            for part in case.parts:
                part["usage"] = usage.get("usage")


def the_end_before_the_rest(case: Case) -> None:
    """Say the end before the last words."""
    places = [at for at, part in enumerate(case.parts) for one in part.get("choices") or () if one.get("finish_reason")]
    if case.streamed and len(places) == 1 and places[0] > 0:
        case.parts.insert(places[0] - 1, case.parts.pop(places[0]))


def empty_chunks(case: Case) -> None:
    """Put chunks without choices, or with nothing in them, between the others."""
    empty_ones: list[list[Any]] = [[], [{"index": 0, "delta": {}}], [{"index": 0, "delta": None}]]
    for choices in empty_ones if case.streamed else ():
        case.parts.insert(case.random.randint(0, len(case.parts)), {"choices": choices})
    if case.streamed:
        case.parts.insert(case.random.randint(0, len(case.parts)), {})


# ------------------------------------------------------------------------------------------------ tool calls
def numbers_of_calls(case: Case) -> None:
    """Number all calls 0, from 1, with null or not at all, calls whole in a piece each."""
    _whole_pieces(case)
    way = case.random.choice(("0", "1", "null", "none"))
    for number, call in enumerate(_pieces(case)):
        call["index"] = {"0": 0, "1": number + 1}.get(way)
        if way == "none":
            del call["index"]


def ids_of_calls(case: Case) -> None:
    """Leave ids out, empty them, or repeat them in every piece."""
    way = case.random.choice(("", None, "repeat"))
    own: dict[int, str] = {}
    for call in _pieces(case):
        index = call.get("index")
        if way != "repeat":
            if "id" in call:
                call["id"] = way
        elif isinstance(index, int):
            call["id"] = own.setdefault(index, call.get("id") or f"call_{index}")


def names_of_calls(case: Case) -> None:
    """Name the function in every piece, or with null."""
    names: dict[Any, str] = {}
    repeats = case.random.random() < 0.5
    for call in _pieces(case):
        function = call.get("function")
        if isinstance(function, dict) and isinstance(call.get("index"), int):
            names.setdefault(call["index"], function.get("name") or "")
            if "name" not in function:
                function["name"] = names[call["index"]] if repeats else None


def arguments_of_calls(case: Case) -> None:
    """Send arguments as objects, or all of them so far in every piece."""
    if case.random.random() < 0.5 or not case.streamed:
        _whole_pieces(case)
        for call in _pieces(case):
            function = call.get("function")
            if isinstance(function, dict) and isinstance(function.get("arguments"), str):
                function["arguments"] = json.loads(function["arguments"] or "{}")
        return
    so_far: dict[Any, str] = {}
    for call in _pieces(case):
        if isinstance(function := call.get("function"), dict) and isinstance(function.get("arguments"), str):
            so_far[call.get("index")] = so_far.get(call.get("index"), "") + function["arguments"]
            function["arguments"] = so_far[call.get("index")]


def _whole_pieces(case: Case) -> None:
    """Put each call into one piece."""
    if not case.streamed or any("tool_calls" not in words and words.get("index") for words in _words(case)):
        return
    first: dict[Any, dict[str, Any]] = {}
    for words in _words(case):
        for call in list(words.get("tool_calls") or ()):
            index = call.get("index")
            if not isinstance(call.get("function"), dict):
                return
            if index not in first:
                first[index] = call
            elif isinstance(more := call["function"].get("arguments"), str):
                first[index]["function"]["arguments"] += more
                words.pop("tool_calls", None)


MUTATIONS: list[Callable[[Case], None]] = [
    a_field_of_another_type, unknown_fields,
    fields_left_out, odd_usage, another_finish_reason, content_in_parts, not_a_number, bytes_that_are_no_letters,
    escaped_letters, a_byte_order_mark, another_encoding, something_behind_it, another_framing, signs_of_life,
    small_packets, another_content_type, no_end_mark, cut_off, the_end_twice, usage_elsewhere,
    the_end_before_the_rest, empty_chunks, numbers_of_calls, ids_of_calls, names_of_calls, arguments_of_calls,
]  # fmt: skip
OF_CALLS = (numbers_of_calls, names_of_calls, arguments_of_calls)
LAST: dict[Callable[[Case], None], int] = {a_field_of_another_type: 1, cut_off: 2}  # they ask what the others made
