"""Streams joined are whole answers: over random cuts, orders and packets, and whatever bytes come."""

import json
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.errors import Cause, ProviderError
from router.providers.base import Choice, Delta
from router.providers.collecting import fold
from router.providers.openai.answer import AnswerReader
from router.providers.openai.sse import DONE, EventLines
from router.providers.openai.stream import ChunkReader
from router.providers.openai.tool_calls import Expectation
from router.types import Precision, Usage
from tests.providers.shapes import USAGE, a_chunk, a_usage_chunk, an_answer

EXPECTED = Expectation(tools=frozenset({"look", "ask"}))
TEXTS = st.text(max_size=40)
ARGUMENTS = st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=6) | st.none(), max_size=3)
CALLS = st.lists(st.tuples(st.sampled_from(["look", "ask"]), ARGUMENTS), max_size=3)


def joined(body: bytes, packets: Random | None = None) -> list[Choice]:
    """Read a stream, in random packets, and join it."""
    reader, lines, deltas, at = ChunkReader("p/m", None, [], expected=EXPECTED), EventLines(), list[Delta](), 0
    events: list[bytes] = []
    while at < len(body):
        size = packets.randint(1, 60) if packets else len(body)
        events += lines.feed(body[at : at + size])
        at += size
    events += lines.end()
    for event in events:
        deltas += reader.read(event) if event != DONE else []
    return fold(deltas + reader.end(is_done=DONE in events), "m").choices


def cut(random: Random, text: str) -> list[str]:
    cuts = sorted(random.randrange(len(text) + 1) for _ in range(random.randrange(5)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@settings(max_examples=200)
@given(TEXTS, TEXTS, CALLS, st.randoms(use_true_random=False), st.booleans())
def test_the_joined_stream_is_the_whole_answer(
    text: str, thinking: str, calls: list[Any], random: Random, ascii_only: bool
) -> None:
    functions = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in calls]
    made = [{"id": f"c{n}", "type": "function", "function": function} for n, function in enumerate(functions)]
    whole = an_answer(text, reasoning_content=thinking, tool_calls=made)
    queues: list[list[dict[str, Any]]] = [
        [{"content": piece} for piece in cut(random, text)],
        [{"reasoning_content": piece} for piece in cut(random, thinking)],
        [],
    ]
    for number, call in enumerate(made):
        function: dict[str, Any] = call["function"]  # type: ignore[assignment]
        first = {**call, "index": number, "function": {**function, "arguments": ""}}
        rest = [{"index": number, "function": {"arguments": piece}} for piece in cut(random, function["arguments"])]
        queues[2] += [{"tool_calls": [piece]} for piece in (first, *rest)]
    chunks = []
    while any(queues):
        chunks.append(a_chunk(**random.choice([queue for queue in queues if queue]).pop(0)))
    chunks += [a_chunk(None, random.choice(["stop", "tool_calls"])), a_usage_chunk()]
    body = b"".join(b"data: " + json.dumps(one, ensure_ascii=ascii_only).encode() + b"\n\n" for one in chunks)
    [read] = AnswerReader("p/m", None, [], expected=EXPECTED).read(json.dumps(whole).encode()).choices
    read.content, read.reasoning = read.content or None, read.reasoning or None
    assert joined(body + b"data: [DONE]\n\n", random) == [read]


@settings(max_examples=300)
@given(st.binary(max_size=120), st.sampled_from([b"", b"data: ", b'data: {"choices":[{"delta":']))
def test_no_bytes_leave_the_tree_of_errors(noise: bytes, start: bytes) -> None:
    for read in (joined, AnswerReader("p/m", None, []).read):
        with suppress(ProviderError):
            read(start + noise)


KEYS = (
    "choices message delta content tool_calls function name arguments usage index error logprobs finish_reason id"
    " text type custom input reasoning"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300)
@given(JSON, JSON)
def test_no_json_leaves_the_tree_of_errors_and_all_that_is_read_can_be_sent(one: Any, other: Any) -> None:
    for body in ({"choices": one}, {"choices": [{"message": one, "delta": other}]}, {"choices": [one], "usage": other}):
        encoded = json.dumps(body).encode()
        for read in (joined, lambda raw: AnswerReader("p/m", None, []).read(raw).choices):
            try:
                choices = read(b"data: " + encoded + b"\n\ndata: [DONE]\n\n" if read is joined else encoded)
            except ProviderError:
                continue
            for choice in choices:
                json.dumps([choice.content, choice.reasoning, choice.tool_calls, choice.logprobs]).encode()
                assert choice.finish_reason in ("stop", "length", "tool_calls", "content_filter")


def framed(*chunks: object) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


def test_each_choice_ends_once_and_last() -> None:
    reader = ChunkReader("p/m", None, [])
    deltas = [d for c in (a_chunk("a", "stop"), a_chunk("b", "length")) for d in reader.read(json.dumps(c).encode())]
    deltas += reader.end(is_done=True)
    assert [delta.finish_reason for delta in deltas] == [None, None, "length"]


@pytest.mark.parametrize("place", ["choice", "x_groq", "timings"])
def test_usage_is_found_wherever_it_stands(place: str) -> None:
    end = a_chunk(None, "stop")
    match place:
        case "choice":
            end["choices"][0]["usage"] = USAGE
        case "x_groq":
            end["x_groq"] = {"id": "r", "usage": USAGE}
        case _:
            end["timings"] = {"cache_n": 8, "prompt_n": 12, "predicted_n": 9}
    reader = ChunkReader("p/m", None, [])
    [metered] = [d.metered for c in (a_chunk("Hi"), end) for d in reader.read(json.dumps(c).encode()) if d.metered]
    assert (metered.usage.input_fresh, metered.usage.input_cached, metered.usage.output_tokens) == (12, 8, 9)


def test_running_totals_end_in_the_last_and_zeros_overwrite_nothing() -> None:
    usages: list[Any] = [{"prompt_tokens": 5, "completion_tokens": n, "total_tokens": 5 + n} for n in (1, 2, 3)]
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    chunks = [*(a_chunk("a", usage=usage) for usage in usages), a_chunk(None, "stop"), a_usage_chunk(zeros)]
    reader = ChunkReader("p/m", None, [])
    deltas = [delta for chunk in chunks for delta in reader.read(json.dumps(chunk).encode())]
    metered = fold(deltas, "m").metered
    assert metered is not None
    assert (metered.usage, metered.precision) == (Usage(input_fresh=5, output_visible=3), Precision.EXACT)


def test_an_error_in_the_middle_is_told_and_so_is_its_cause() -> None:
    reader = ChunkReader("p/m", None, [])
    reader.read(json.dumps(a_chunk("Hi")).encode())
    with pytest.raises(ProviderError, match="rate limit") as caught:
        reader.read(
            json.dumps({"choices": [], "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}).encode()
        )
    assert caught.value.cause is Cause.RATE_LIMITED


def test_choices_that_nobody_asked_for_are_part_of_the_one() -> None:
    chunks = [a_chunk("Hi"), a_chunk(" there", index=7), a_chunk(None, "stop")]
    reader = ChunkReader("p/m", None, [], expected=Expectation(1))
    deltas = [d for chunk in chunks for d in reader.read(json.dumps(chunk).encode())] + reader.end(is_done=True)
    [choice] = fold(deltas, "m").choices
    assert choice.content == "Hi there"


def test_text_and_calls_in_two_choices_of_one_answer_are_one() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    body = an_answer("Let me see.")
    body["choices"].append(
        {"index": 1, "message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    )
    [choice] = AnswerReader("p/m", None, [], expected=Expectation(1)).read(json.dumps(body).encode()).choices
    assert (choice.content, choice.finish_reason, len(choice.tool_calls or ())) == ("Let me see.", "tool_calls", 1)


def test_several_choices_stream_side_by_side() -> None:
    body = framed(a_chunk("a"), a_chunk("b", index=1), a_chunk(None, "stop"), a_chunk(None, "length", index=1))
    assert [(c.content, c.finish_reason) for c in joined(body)] == [("a", "stop"), ("b", "length")]


@pytest.mark.parametrize("depth", [20, 300, 600])
def test_parts_that_lie_too_deep_cost_no_answer(depth: int) -> None:
    for opens, closes in (("[", "]"), ('{"text":', "}")):
        content = f'[{{"type":"text","text":"fine"}},{opens * depth}"x"{closes * depth}]'
        body = f'{{"choices":[{{"message":{{"content":{content}}},"finish_reason":"stop"}}]}}'.encode()
        [choice] = AnswerReader("p/m", None, []).read(body).choices
        assert choice.content is not None
        assert choice.content.startswith("fine")


def test_events_that_nobody_can_read_are_not_kept_without_end() -> None:
    reader = ChunkReader("p/m", None, [])
    for _ in range(1_000):
        assert reader.read(b"{'choices': [{'index': 0, 'delta': {'content': 'x'}}]}}") == []
        assert len(reader._unread) < 10_000
    with pytest.raises(ProviderError):
        reader.end(is_done=True)


def test_a_charset_that_decodes_nothing_costs_no_answer() -> None:
    body = b'{"choices":[{"message":{"content":"caf\xe9"},"finish_reason":"stop"}]}'
    [choice] = AnswerReader("p/m", None, [], charset="undefined").read(body).choices
    assert choice.content == "caf\ufffd"
