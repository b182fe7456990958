import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from router.api.messages.carried import UNSIGNED, state_in
from router.api.messages.output import MessageEvents, StreamedContent, stop_reason_of, whole_content
from router.providers.base import Choice, Delta
from router.providers.collecting import fold
from tests.api.messages.test_endpoint import events, joined


def spelled(*deltas: Delta) -> list[dict[str, Any]]:
    """The blocks that a stream of these steps comes to."""
    framed = MessageEvents()
    content = StreamedContent("r", framed.emit)
    for delta in deltas:
        content.add(delta)
    content.finish()
    return joined(events(framed.take().decode()))


def part(index: int, arguments: str, name: str | None = None) -> Delta:
    named = {} if name is None else {"id": f"call_{index}"}
    return Delta(tool_calls=[{"index": index, **named, "function": {"name": name, "arguments": arguments}}])


def test_blocks_follow_each_other_in_the_order_they_came() -> None:
    blocks = spelled(Delta(reasoning="Hm"), Delta(reasoning="."), Delta(content="Well"), part(0, "{}", "look"))
    assert [block["type"] for block in blocks] == ["thinking", "text", "tool_use"]
    assert blocks[0] == {"type": "thinking", "thinking": "Hm.", "signature": UNSIGNED}


def test_a_signature_ends_its_block() -> None:
    signed = [{"type": "thinking", "signature": "Eq"}, {"type": "thinking", "signature": "QB"}]
    blocks = spelled(
        Delta(reasoning="One.", thinking_blocks=[{"type": "thinking", "thinking": "One."}]),
        *(Delta(thinking_blocks=[piece]) for piece in signed),
        Delta(reasoning="Two."),
        Delta(thinking_blocks=[{"type": "redacted_thinking", "data": "EvYB"}]),
    )
    assert blocks == [
        {"type": "thinking", "thinking": "One.", "signature": "EqQB"},
        {"type": "thinking", "thinking": "Two.", "signature": UNSIGNED},
        {"type": "redacted_thinking", "data": "EvYB"},
    ]


def test_calls_that_grow_side_by_side_keep_their_arguments() -> None:
    blocks = spelled(
        part(0, '{"a"', "one"), part(1, '{"b"', "two"), part(0, ":1}"), part(1, ":2}"), Delta(content="done")
    )
    assert [(block["name"], block["input"]) for block in blocks[:2]] == [("one", {"a": 1}), ("two", {"b": 2})]
    assert blocks[2] == {"type": "text", "text": "done"}


def test_a_call_that_is_cut_off_does_not_take_the_others_with_it() -> None:
    framed = MessageEvents()
    content = StreamedContent("r", framed.emit)
    for delta in (part(0, '{"a', "one"), part(1, '{"b', "two"), part(2, "{}", "three")):
        content.add(delta)
    content.finish()
    started = [event for event in events(framed.take().decode()) if event["type"] == "content_block_start"]
    assert [event["content_block"]["name"] for event in started] == ["one", "two", "three"]


def test_the_state_that_other_families_want_back_travels_before_its_call() -> None:
    extra = {"google": {"thought_signature": "x"}}
    call = {"index": 0, "id": "c", "function": {"name": "look", "arguments": "{}"}, "extra_content": extra}
    for blocks in (spelled(Delta(tool_calls=[call])), whole_content(Choice(tool_calls=[call]), "r")):
        assert [block["type"] for block in blocks] == ["redacted_thinking", "tool_use"]
        assert state_in(blocks[0]["data"]) == {"message": {}, "calls": {"c": extra}}


def test_pieces_of_state_are_joined_before_they_travel() -> None:
    pieces = [{"type": "reasoning.text", "index": 0, "text": text} for text in ("Hm", ".")]
    joined_pieces = [{"type": "reasoning.text", "index": 0, "text": "Hm."}]
    deltas = [Delta(state={"reasoning_details": [piece]}) for piece in pieces]
    for steps in ((*deltas, Delta(content="Well")), (Delta(content="Well"), *deltas)):
        [said, carried] = spelled(*steps)
        assert said["text"] == "Well"
        assert state_in(carried["data"]) == {"message": {"reasoning_details": joined_pieces}, "calls": {}}
    [carried, called] = spelled(*deltas, part(0, "{}", "look"))
    assert called["type"] == "tool_use"
    assert state_in(carried["data"])["message"] == {"reasoning_details": joined_pieces}  # type: ignore[index]


def test_arguments_that_are_no_object_are_kept_as_they_came() -> None:
    for arguments, given_ in (("", {}), ("[1]", {"INVALID_JSON": "[1]"}), ('{"a', {"INVALID_JSON": '{"a'})):
        [block] = whole_content(Choice(tool_calls=[{"function": {"name": "f", "arguments": arguments}}]), "r")
        assert block["input"] == given_


def test_a_refusal_is_said_and_ends_the_message_as_one() -> None:
    assert whole_content(Choice(refusal="I will not."), "r") == [{"type": "text", "text": "I will not."}]
    for finish, reason in (("stop", "refusal"), ("content_filter", "refusal"), ("length", "max_tokens")):
        assert stop_reason_of(finish, has_called=False, has_refused=True, stop_sequence=None) == reason


@st.composite
def answers(draw: st.DrawFn) -> list[Delta]:
    """An answer in any cut: thinking, text, then calls whose parts may come in any order among each other."""
    words = st.text(min_size=1, max_size=8)
    steps = [Delta(reasoning=piece) for piece in draw(st.lists(words, max_size=4))]
    steps += [Delta(content=piece) for piece in draw(st.lists(words, max_size=4))]
    queues: list[list[Delta]] = []
    for index in range(draw(st.integers(0, 3))):
        arguments = json.dumps({"text": draw(words), "deep": {"n": index}})
        cuts = sorted(draw(st.lists(st.integers(0, len(arguments)), max_size=3)))
        pieces = [arguments[start:end] for start, end in zip([0, *cuts], [*cuts, len(arguments)], strict=True)]
        queues.append([part(index, "", f"tool_{index}"), *(part(index, piece) for piece in pieces)])
    while waiting := [queue for queue in queues if queue]:
        first = next(queue for queue in waiting)
        chosen = draw(st.sampled_from(waiting))
        unstarted = [queue for queue in waiting if queue[0].tool_calls and queue[0].tool_calls[0].get("id")]
        steps.append((unstarted[0] if chosen in unstarted else chosen or first).pop(0))
    return [*steps, Delta(finish_reason="tool_calls" if queues else "stop")]


@given(answers())
def test_the_joined_stream_is_the_whole_answer_whatever_its_cuts(deltas: list[Delta]) -> None:
    completion = fold(deltas, "m")
    [choice] = completion.choices
    assert spelled(*deltas) == whole_content(choice, "r")
