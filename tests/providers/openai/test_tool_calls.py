"""Tool calls in pieces, as providers cut them: joined by number, as clients do, they are the calls that were meant."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.providers.base import Delta
from router.providers.collecting import fold
from router.providers.openai.tool_calls import Expectation, ToolCallPieces, expectation_of, whole_calls

Call = tuple[str, str, str]  # id, name, arguments
OSLO: Call = ("call_a", "weather", '{"city":"Oslo"}')
ROME: Call = ("call_b", "weather", '{"city":"Rome"}')


def piece(index: int | None = None, **said: Any) -> dict[str, Any]:
    """A piece with these of id, name and arguments; None stays null."""
    function = {key: said.pop(key) for key in ("name", "arguments") if key in said}
    return {"index": index, **said, "function": function} if index is not None else {**said, "function": function}


def whole_piece(call: Call, index: int | None = 0, *, has_id: bool = True) -> dict[str, Any]:
    own_id, name, arguments = call
    return piece(index, name=name, arguments=arguments, type="function", **({"id": own_id} if has_id else {}))


def joined(*chunks: list[dict[str, Any]], tools: tuple[str, ...] = ("weather",)) -> list[dict[str, Any]]:
    """What a client has in the end, from the pieces in these chunks."""
    pieces = ToolCallPieces(Expectation(tools=frozenset(tools)))
    mended = [pieces.add(chunk) for chunk in chunks] + [pieces.end()]
    for one in (one for chunk in mended for one in chunk):
        assert None not in {**one, **one.get("function", {})}.values()
    [choice] = fold([Delta(tool_calls=chunk) for chunk in mended if chunk], "m").choices
    return choice.tool_calls or []


def said(calls: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(call["function"]["name"], call["function"]["arguments"]) for call in calls]


BOTH = [OSLO[1:], ROME[1:]]
CHUNKS: dict[str, list[list[dict[str, Any]]]] = {
    "as OpenAI does": [
        [piece(0, id="call_a", type="function", name="weather", arguments="")],
        [piece(0, arguments='{"city":')],
        [piece(0, arguments='"Oslo"}')],
        [piece(1, id="call_b", type="function", name="weather", arguments="")],
        [piece(1, arguments='{"city":"Rome"}')],
    ],
    "all numbered 0": [[whole_piece(OSLO)], [whole_piece(ROME)]],
    "all numbered 0, in one chunk": [[whole_piece(OSLO), whole_piece(ROME)]],
    "all numbered 0, without ids": [[whole_piece(OSLO, has_id=False)], [whole_piece(ROME, has_id=False)]],
    "all numbered 0, in pieces": [
        [piece(0, id="call_a", name="weather", arguments='{"city":')],
        [piece(0, arguments='"Oslo"}')],
        [piece(0, id="call_b", name="weather", arguments='{"city":')],
        [piece(0, arguments='"Rome"}')],
    ],
    "numbered from 1": [[whole_piece(OSLO, 1)], [whole_piece(ROME, 2)]],
    "without numbers": [[whole_piece(OSLO, None)], [whole_piece(ROME, None)]],
    "without numbers, in one chunk": [[whole_piece(OSLO, None), whole_piece(ROME, None)]],
    "without numbers and ids": [[whole_piece(OSLO, None, has_id=False)], [whole_piece(ROME, None, has_id=False)]],
    "without numbers, in pieces": [
        [piece(None, id="call_a", name="weather", arguments='{"city":')],
        [piece(None, arguments='"Oslo"}')],
        [piece(None, id="call_b", name="weather", arguments='{"city":')],
        [piece(None, arguments='"Rome"}')],
    ],
    "with ids in every piece": [
        [piece(0, id="call_a", name="weather", arguments="")],
        [piece(0, id="call_a", arguments='{"city":"Oslo"}')],
        [piece(1, id="call_b", name="weather", arguments="")],
        [piece(1, id="call_b", arguments='{"city":"Rome"}')],
    ],
    "with another id in every piece": [
        [piece(0, id="x1", name="weather", arguments='{"city":')],
        [piece(0, id="x2", arguments='"Oslo"}')],
        [piece(1, id="x3", name="weather", arguments='{"city":')],
        [piece(1, id="x4", arguments='"Rome"}')],
    ],
    "with nulls": [
        [piece(0, id="call_a", type="function", name="weather", arguments=None)],
        [piece(0, id=None, type=None, name=None, arguments='{"city":"Oslo"}')],
        [piece(1, id="call_b", type="function", name="weather", arguments='{"city":"Rome"}')],
    ],
    "with empty texts": [
        [piece(0, id="call_a", name="weather", arguments="")],
        [piece(0, id="", name="", arguments='{"city":"Oslo"}')],
        [piece(1, id="call_b", name="weather", arguments="")],
        [piece(1, id="", name="", arguments='{"city":"Rome"}')],
    ],
    "with the name in every piece": [
        [piece(0, id="call_a", name="weather", arguments='{"city":')],
        [piece(0, name="weather", arguments='"Oslo"}')],
        [piece(1, id="call_b", name="weather", arguments='{"city":')],
        [piece(1, name="weather", arguments='"Rome"}')],
    ],
    "with names in pieces": [
        [piece(0, id="call_a", name="wea", arguments="")],
        [piece(0, name="ther", arguments='{"city":"Oslo"}')],
        [whole_piece(ROME, 1)],
    ],
    "with names after the arguments": [
        [piece(0, id="call_a", arguments='{"city":')],
        [piece(0, id="call_a", arguments='"Oslo"}')],
        [piece(0, id="call_a", name="weather")],
        [whole_piece(ROME, 1)],
    ],
    "with all arguments so far in every piece": [
        [piece(0, id="call_a", name="weather", arguments='{"city')],
        [piece(0, arguments='{"city":"O')],
        [piece(0, arguments='{"city":"Oslo"}')],
        [whole_piece(ROME, 1)],
    ],
    "all of it said twice": [[whole_piece(OSLO)], [whole_piece(OSLO)], [whole_piece(ROME, 1)], [whole_piece(ROME, 1)]],
    "with arguments as objects": [
        [piece(0, id="call_a", name="weather", arguments={"city": "Oslo"})],
        [piece(1, id="call_b", name="weather", arguments={"city": "Rome"})],
    ],
    "with an empty object that holds the place": [
        [piece(0, id="call_a", name="weather", arguments={})],
        [piece(0, arguments='{"city":"Oslo"}')],
        [whole_piece(ROME, 1)],
    ],
    "numbered on by the piece": [
        [piece(0, id="call_a", name="weather", arguments='{"city":')],
        [piece(1, arguments='"Oslo"}')],
        [piece(2, id="call_b", name="weather", arguments='{"city":')],
        [piece(3, arguments='"Rome"}')],
    ],
    "numbered by text, with numbers for ids": [
        [piece(0, id=11, name="weather", arguments="") | {"index": "0"}],
        [piece(0, id=12, name="weather", arguments="") | {"index": "1"}],
        [piece(0, arguments='{"city":"Oslo"}') | {"index": "0"}],
        [piece(0, arguments='{"city":"Rome"}') | {"index": "1"}],
    ],
    "side by side": [
        [piece(0, id="call_a", name="weather", arguments=""), piece(1, id="call_b", name="weather", arguments="")],
        [piece(1, arguments='{"city":'), piece(0, arguments='{"city":"Os')],
        [piece(0, arguments='lo"}'), piece(1, arguments='"Rome"}')],
    ],
    "without a function around them": [
        [{"id": "call_a", "name": "weather", "arguments": '{"city":"Oslo"}'}],
        [{"id": "call_b", "name": "weather", "arguments": '{"city":"Rome"}'}],
    ],
}


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS.keys())
def test_pieces_make_the_calls_that_were_meant(chunks: list[list[dict[str, Any]]]) -> None:
    calls = joined(*chunks)
    assert said(calls) == BOTH
    assert len({call["id"] for call in calls}) == 2


def test_a_name_is_sent_once_and_at_once() -> None:
    pieces = ToolCallPieces(Expectation(tools=frozenset({"weather"})))
    [first] = pieces.add([piece(0, id="call_a", name="weather", arguments="")])
    assert first == {
        "index": 0,
        "id": "call_a",
        "type": "function",
        "function": {"name": "weather", "arguments": ""},
    }
    assert pieces.add([piece(0, id="call_a", name="weather", arguments="{")]) == [
        {"index": 0, "function": {"arguments": "{"}}
    ]


@pytest.mark.parametrize("arguments", ["", None, "{}", {}])
def test_a_function_without_arguments_gets_the_empty_object(arguments: Any) -> None:
    assert said(joined([piece(0, id="a", name="now", arguments=arguments)], tools=("now",))) == [("now", "{}")]
    assert said(whole_calls([piece(None, id="a", name="now", arguments=arguments)])) == [("now", "{}")]


def test_ids_are_made_where_they_are_missing_doubled_or_taken_in_the_conversation() -> None:
    expected = expectation_of(
        {"tools": [{"type": "function", "function": {"name": "weather"}}]},
        [{"role": "assistant", "tool_calls": [{"id": "weather:0"}]}],
    )
    calls = [("weather:0", *OSLO[1:]), ("same", *ROME[1:]), ("same", "weather", "{}"), ("", "weather", "{}")]
    pieces = [whole_piece(call, None) for call in calls]
    ids = [call["id"] for call in whole_calls(pieces, expected)]
    assert ids[1] == "same"
    assert len({*ids, "weather:0"}) == 5


def test_what_a_vendor_adds_to_a_call_goes_with_it() -> None:
    signed = whole_piece(OSLO) | {"extra_content": {"google": {"thought_signature": "s"}}}
    [streamed], [whole] = joined([signed]), whole_calls([signed])
    assert streamed == whole
    assert whole["extra_content"] == {"google": {"thought_signature": "s"}}


def test_custom_tools_take_text_as_it_is() -> None:
    first = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "run", "input": "ha"}}
    [call] = joined([first], [{"index": 0, "custom": {"input": "ha"}}], tools=("run",))
    assert call == {"id": "c", "type": "custom", "custom": {"name": "run", "input": "haha"}}


def test_arguments_that_begin_with_themselves_are_not_taken_for_a_repetition() -> None:
    parts = ['{"a":', '{"a":1', "}}"]
    pieces = [[piece(0, id="x", name="weather", arguments=parts[0])], *([piece(0, arguments=p)] for p in parts[1:])]
    assert said(joined(*pieces)) == [("weather", '{"a":{"a":1}}')]


def test_what_is_no_call_is_left_out() -> None:
    assert whole_calls([{}, {"id": "x"}, {"function": None}]) == []


NAMES = st.sampled_from(["weather", "time", "now"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
CALLS = st.lists(st.tuples(NAMES, st.dictionaries(st.text(max_size=3), JSON, max_size=3)), min_size=1, max_size=4)


@given(CALLS, st.randoms(use_true_random=False))
def test_however_calls_are_cut_and_mixed_the_joined_stream_is_the_whole_answer(calls: Any, random: Any) -> None:
    meant = [(f"call_{number}", name, json.dumps(arguments)) for number, (name, arguments) in enumerate(calls)]
    queues = []
    for number, (own_id, name, arguments) in enumerate(meant):
        cuts = sorted(random.randrange(len(arguments) + 1) for _ in range(random.randrange(4)))
        parts = [arguments[a:b] for a, b in zip([0, *cuts], [*cuts, len(arguments)], strict=True)]
        first = piece(number, id=own_id, type="function", name=name, arguments="")
        queues.append([first, *(piece(number, arguments=part) for part in parts)])
    chunks, waiting = [], list(range(len(queues)))
    begun = 0
    while waiting:
        number = random.choice([one for one in waiting if one <= begun])
        begun = max(begun, number + 1)
        chunks.append([queues[number].pop(0)])
        if not queues[number]:
            waiting.remove(number)
    streamed = joined(*chunks, tools=("weather", "time", "now"))
    assert streamed == whole_calls([whole_piece(call, None) for call in meant])
