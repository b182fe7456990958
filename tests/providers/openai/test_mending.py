"""The table of docs/mending.md, row by row: what comes, read by the reader, and what becomes of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from router.errors import ProviderError
from router.providers.base import Completion
from router.providers.collecting import fold
from router.providers.openai.answer import AnswerReader
from router.providers.openai.sse import DONE, EventLines
from router.providers.openai.stream import ChunkReader
from router.providers.openai.tool_calls import Expectation
from tests.providers.shapes import a_chunk, a_usage_chunk, an_answer

PAGE = Path(__file__).parents[3] / "docs" / "mending.md"
ROWS = re.compile(r"^\| (.+?) \| (mended|dropped|error)\b(.*?) \|$", re.M)
EXPECTED = Expectation(tools=frozenset({"now", "weather"}), ids=frozenset({"taken"}))
SAID = "Paris."
END = a_chunk(None, "stop")


class Whole:
    """A whole body."""

    def __init__(self, body: object, *, charset: str | None = None) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.charset = charset

    def read(self) -> Completion:
        return AnswerReader("p/m", None, [], splits_thinking=True, expected=EXPECTED, charset=self.charset).read(
            self.body
        )


class Stream:
    """Bytes of a stream, or chunks with [DONE] after them."""

    def __init__(self, *chunks: object, done: bool = True, end: bytes = b"\n\n") -> None:
        framed = [c if isinstance(c, bytes) else b"data: " + json.dumps(c).encode() + end for c in chunks]
        self.body = b"".join(framed) + (b"data: [DONE]\n\n" if done else b"")

    def read(self) -> Completion:
        reader, lines, deltas, is_done = (
            ChunkReader("p/m", None, [], splits_thinking=True, expected=EXPECTED),
            EventLines(),
            [],
            False,
        )
        for event in [*lines.feed(self.body), *lines.end()]:
            is_done = is_done or event == DONE
            deltas += reader.read(event) if not is_done else []
        return fold([*deltas, *reader.end(is_done=is_done)], "m")


def raw(content: bytes, finish: bytes = b"null", key: bytes = b"delta") -> bytes:
    return b'{"choices":[{"index":0,"%s":{"content":"%s"},"finish_reason":%s}]}' % (key, content, finish)


def event(content: bytes) -> bytes:
    return b"data: " + raw(content) + b"\n\n"


def odd(place: str, value: Any, *, key: str = "") -> list[Whole | Stream]:
    """An answer, whole and streamed, with one odd value in the body, in the choice or in the words of it."""
    found: list[Whole | Stream] = []
    for body, words in ((an_answer(SAID), "message"), (a_chunk(SAID), "delta")):
        choice = body["choices"][0]
        {"body": body, "choice": choice, "words": choice[words]}[place][key] = value
        found.append(Whole(body) if words == "message" else Stream(body, END))
    return found


def calls(*pieces: dict[str, Any], **changes: Any) -> list[Whole | Stream]:
    """Tool calls, whole and streamed, each piece in a chunk of its own."""
    return [
        Whole(an_answer(None, tool_calls=list(pieces), **changes)),
        Stream(*(a_chunk(None, tool_calls=[one]) for one in pieces), END),
    ]


def a_call(name: str = "now", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


NOW, WEATHER = ("now", "{}"), ("weather", '{"city":"Oslo"}')
A, B = a_call(id="a"), a_call("weather", '{"city":"Oslo"}', id="b")
HALF = b'data: {"choices":[{"index":0,"delta":{"content":"lo\n\n'
LEGACY = {"choices": [{"text": SAID, "index": 0, "finish_reason": "stop"}]}

# Each row of the page, and examples of it; what is not an error says Paris., or has both calls.
EXAMPLES: dict[str, list[Whole | Stream]] = {
    "bytes that are not UTF-8": [Whole(raw(b"\xffParis.", b'"stop"', b"message")), Stream(event(b"\xffParis."), END)],
    "a letter whose bytes are split over two chunks": [
        Stream(event("Pariß.".encode()[:5]), event("ß.".encode()[1:]), END)
    ],
    "an escaped surrogate pair split over two chunks": [Stream(event(b"Paris.\\ud83d"), event(b"\\ude00"), END)],
    "half of an escaped surrogate pair": [
        Stream(event(b"Paris.\\ude00"), END),
        Whole(raw(b"\\udcafParis.", b'"stop"', b"message")),
    ],
    "a byte order mark, or UTF-16": [
        Whole(b"\xef\xbb\xbf" + json.dumps(an_answer(SAID)).encode()),
        Whole(json.dumps(an_answer(SAID)).encode("utf-16")),
        Stream(b"\xef\xbb\xbf", a_chunk(SAID), END),
    ],
    "text in the character set that the content type names": [
        Whole(raw("Pariß.".encode("latin-1"), b'"stop"', b"message"), charset="iso-8859-1")
    ],
    "line breaks and tabs within a JSON string, unknown escapes": [
        Whole(raw(b"Paris.\t\n", b'"stop"', b"message")),
        Whole(raw(b"Paris.\\x", b'"stop"', b"message")),
        Stream(event(b"Paris.\t"), END),
    ],
    "NaN, infinities, numbers that are too large": [
        Whole(b'{"usage":{"prompt_tokens":NaN},' + raw(b"Paris.", b'"stop"', b"message")[1:]),
        Whole(b'{"created":1%s,"x":-Infinity,' % (b"0" * 9_000) + raw(b"Paris.", b'"stop"', b"message")[1:]),
        Stream(b'data: {"usage":{"prompt_tokens":1e999,"x":Infinity},' + raw(b"Paris.")[1:] + b"\n\n", END),
    ],
    "any line ending, no blank lines, no space after `data:`": [
        *(Stream(a_chunk("Par"), a_chunk("is."), END, end=ending) for ending in (b"\r\n\r\n", b"\r\r", b"\n", b"\r")),
        Stream(b"data:" + raw(SAID.encode()) + b"\n\n", END),
    ],
    "empty events, comments, other fields, words that are not JSON": [
        Stream(
            a_chunk("Par"),
            b"data: \n\ndata:\n\n: ping\n\nevent: x\nid: 1\n\ndata: ping\n\ndata: [1]\n\n",
            a_chunk("is."),
            END,
        )
    ],
    "an event in several `data:` lines, or broken over lines without `data:`": [
        Stream(b'data: {"choices":\ndata: [{"delta":{"content":"Paris."}}]\ndata: }\n\n', END),
        Stream(b'data: {"choices":[{"delta":\n{"content":"Paris."}}]}\n\n', END),
        Stream(b'data: {"choices":[{"delta":{}\n\ndata: ,"text":null}]}\n\n', a_chunk(SAID), END),
    ],
    "an event without `data:`, several objects in one event": [
        Stream(raw(b"Par") + b"\n\n" + raw(b"is.") + b"\n\n", END),
        Stream(b"data: " + raw(b"Par") + raw(b"is.") + b"\n\n", END),
    ],
    "a stream under a JSON content type, lines of JSON": [
        Stream(raw(b"Par") + b"\n", raw(b"is.") + b"\n", raw(b"", b'"stop"') + b"\n", done=False)
    ],
    "a JSON body in place of a stream": [
        Stream(json.dumps(an_answer(SAID)).encode(), done=False),
        Stream(json.dumps(an_answer(SAID), indent=2).encode(), done=False),
    ],
    "a stream in place of a JSON body": [Whole(Stream(a_chunk("Par"), a_chunk("is."), END).body)],
    "an answer wrapped in `data`, `result`, `response` or a list": [
        *(Whole({key: an_answer(SAID), "success": True, "choices": None}) for key in ("data", "result", "response")),
        Whole([an_answer(SAID)]),
        Whole(json.dumps(an_answer(SAID))),
    ],
    "a truncated chunk in a stream that goes on to its end": [Stream(a_chunk("Par"), HALF, a_chunk("is."), END)],
    "a truncated chunk, and no end of the stream": [Stream(a_chunk("Par"), HALF), Stream(HALF, done=False)],
    "a truncated body, an HTML page, or nothing": [
        Whole(json.dumps(an_answer(SAID)).encode()[:-20]),
        Whole(b"<!DOCTYPE html><title>502</title>"),
        Whole(b""),
        Stream(b"<!DOCTYPE html><title>502</title>", done=False),
        Stream(done=False),
    ],
    "no `[DONE]` after the finish reason": [Stream(a_chunk(SAID), END, done=False)],
    "a connection that breaks or stays open after the finish reason": [],  # in test_client.py
    "`[DONE]`, or usage without choices, but no finish reason": [
        Stream(a_chunk(SAID)),
        Stream(a_chunk(SAID), a_usage_chunk(), done=False),
    ],
    "neither a finish reason nor an end mark": [
        Stream(a_chunk(SAID), done=False),
        Stream(a_chunk(SAID, ""), done=False),
    ],
    "a finish reason that is empty, of another type, or in a vendor's own words": [
        *odd("choice", "", key="finish_reason"),
        *odd("choice", 1, key="finish_reason"),
        *odd("choice", {"type": "stop"}, key="finish_reason"),
        *odd("choice", "eos_token", key="finish_reason"),
    ],
    "a finish reason twice, in every chunk, or before the text": [
        Stream(a_chunk(SAID), END, END),
        Stream(a_chunk("Par", "stop"), a_chunk("is.", "stop"), END),
        Stream(END, a_chunk(SAID)),
    ],
    "`stop` beside tool calls": calls(A, B),
    "`tool_calls` without a call": odd("choice", "tool_calls", key="finish_reason"),
    "a finish reason that means failure (`error`, `abort`, `insufficient_system_resource`)": [
        example
        for reason in ("error", "abort", "insufficient_system_resource")
        for example in odd("choice", reason, key="finish_reason")
    ],
    "a finish reason that means failure only where nothing came (`malformed_function_call`)": [
        Stream(a_chunk("", "MALFORMED_FUNCTION_CALL")),
        Whole({"choices": [{"message": {"content": ""}, "finish_reason": "malformed_function_call"}]}),
    ],
    "no choices, or none that can be read": [
        Whole({"choices": []}),
        Whole({"choices": None}),
        Whole({"choices": [1]}),
        Stream(),
    ],
    "an error in place of an answer, of a choice, or of a chunk": [
        Whole({"error": {"message": "no"}}),
        Whole({"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}),
        Stream({"error": {"message": "no"}}),
        Stream({"object": "error", "message": "no", "code": 400}),
        *odd("choice", {"message": "worker died", "code": 502}, key="error"),
    ],
    "a field of another type, null or out of range": [
        *odd("choice", [], key="logprobs"),
        *odd("body", [], key="usage"),
        *odd("body", "", key="usage"),
        *odd("body", 7, key="system_fingerprint"),
        *odd("body", {"a": 1}, key="service_tier"),
        *odd("words", {}, key="tool_calls"),
        *odd("words", 3, key="refusal"),
        *odd("words", {"x": 1}, key="reasoning_content"),
    ],
    "a choice without an index, with null, or with an impossible one": [
        example
        for index in (None, -1, 10**6, 10**30, "0", 0.0, "x", True)
        for example in odd("choice", index, key="index")
    ],
    "choices as an object, a message that is text, the legacy `text`": [
        Whole({"choices": {"message": {"content": SAID}}}),
        Whole({"choices": {"0": {"message": {"content": SAID}}}}),
        Whole({"choices": [{"message": SAID}]}),
        Whole(LEGACY),
        Stream(LEGACY),
    ],
    "content in parts, as an object or as a number": [
        example
        for content in ([{"type": "text", "text": SAID}], ["Par", "is."], {"text": SAID}, [{"text": {"value": SAID}}])
        for example in odd("words", content, key="content")
    ],
    "thinking as `reasoning_content`, `reasoning`, `thinking`, in parts or between tags": [
        *(
            example
            for key in ("reasoning_content", "reasoning", "thinking")
            for example in odd("words", "Hm.", key=key)
        ),
        *odd("words", [{"type": "text", "text": "Hm."}], key="reasoning"),
        *odd(
            "words", [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}, SAID], key="content"
        ),
        *odd("words", f"<think>Hm.</think>\n\n{SAID}", key="content"),
    ],
    "thinking with only the closing tag, in a whole answer": [Whole(an_answer(f"Hm.\n</think>\n\n{SAID}"))],
    "the whole message once more, at the end of a stream": [Stream(a_chunk("Par"), a_chunk("is."), an_answer(SAID))],
    "parts of the content without words, such as pictures": odd(
        "words", [SAID, {"type": "image_url", "image_url": {"url": "x"}}], key="content"
    ),
    "log probabilities of another shape": odd("choice", {"tokens": ["Par"], "token_logprobs": [-1]}, key="logprobs"),
    "entries of `tool_calls` that are not objects": odd("words", ["now"], key="tool_calls"),
    "calls all numbered 0, numbered from 1, with null or not at all": [
        example
        for first, second in ((0, 0), (1, 2), (None, None))
        for example in calls({**A, "index": first}, {**B, "index": second})
    ]
    + calls(A, B),
    "calls without an id, with the same one, or one that the conversation has": [
        example
        for one, other in (("", ""), ("same", "same"), ("taken", "b"), (None, None))
        for example in calls({**A, "id": one, "index": 0}, {**B, "id": other, "index": 1})
    ],
    "id, type and name null, empty or repeated in later pieces": [
        Stream(
            a_chunk(tool_calls=[{**A, "index": 0}]),
            a_chunk(
                tool_calls=[
                    {"index": 1, "id": "b", "type": "function", "function": {"name": "weather", "arguments": ""}}
                ]
            ),
            a_chunk(
                tool_calls=[
                    {"index": 1, "id": empty, "type": empty, "function": {"name": name, "arguments": '{"city":"Oslo"}'}}
                ]
            ),
            END,
        )
        for empty, name in ((None, None), ("", ""), ("b", "weather"))
    ],
    "a name in pieces, or after the arguments": [
        Stream(
            a_chunk(tool_calls=[{**A, "index": 0}]),
            a_chunk(tool_calls=[{"index": 1, "id": "b", "function": {"name": "wea", "arguments": ""}}]),
            a_chunk(tool_calls=[{"index": 1, "function": {"name": "ther", "arguments": '{"city":"Oslo"}'}}]),
            END,
        ),
        Stream(
            a_chunk(tool_calls=[{**A, "index": 0}]),
            a_chunk(tool_calls=[{"index": 1, "id": "b", "function": {"arguments": '{"city":"Oslo"}'}}]),
            a_chunk(tool_calls=[{"index": 1, "id": "b", "function": {"name": "weather"}}]),
            END,
        ),
    ],
    "arguments as an object, as null, or cumulative in every piece": [
        *calls(a_call(arguments={}, id="a"), a_call("weather", {"city": "Oslo"}, id="b")),
        *calls(a_call(arguments=None, id="a"), B),
        Stream(
            a_chunk(tool_calls=[{**A, "index": 0}]),
            a_chunk(tool_calls=[{**a_call("weather", '{"city"', id="b"), "index": 1}]),
            a_chunk(tool_calls=[{"index": 1, "function": {"arguments": '{"city":"Os'}}]),
            a_chunk(tool_calls=[{"index": 1, "function": {"arguments": '{"city":"Oslo"}'}}]),
            END,
        ),
    ],
    "a function without arguments": calls(a_call(arguments="", id="a"), B),
    "the legacy `function_call`, a call without `function` around it": [
        Whole(an_answer(None, function_call={"name": "now", "arguments": "{}"})),
        *calls({"id": "a", "name": "now", "arguments": "{}"}),
    ],
}


def rows() -> dict[str, tuple[str, str]]:
    """The rows of the page: what comes, what becomes of it, and how."""
    return {comes: (becomes, how) for comes, becomes, how in ROWS.findall(PAGE.read_text())}


def test_the_page_and_the_examples_have_the_same_rows() -> None:
    assert list(rows()) == list(EXAMPLES)


@pytest.mark.parametrize("comes", EXAMPLES)
def test_what_the_page_says_becomes_of_it(comes: str) -> None:
    becomes, how = rows()[comes]
    for example in EXAMPLES[comes]:
        if becomes == "error":
            with pytest.raises(ProviderError):
                example.read()
            continue
        answer = example.read()
        [choice] = answer.choices
        note = re.search(r"`(.+)`", how)
        assert answer.dropped == ([note[1]] if note and becomes == "dropped" else []), example.body
        json.dumps([choice.content, choice.reasoning, choice.tool_calls]).encode()
        if choice.tool_calls:
            said = [(call["function"]["name"], call["function"]["arguments"]) for call in choice.tool_calls]
            assert said in ([NOW, WEATHER], [NOW]), example.body
            assert len({call["id"] for call in choice.tool_calls} | {"taken"}) == len(said) + 1
            assert choice.finish_reason == "tool_calls"
        else:
            text = (choice.content or "").strip("\ufffd\t\n\\x 😀")
            assert text in (SAID, "Pariß.", "Par" if how else SAID, "Paris"), example.body
            assert choice.finish_reason == "stop"
