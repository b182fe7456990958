"""Event streams as servers write them, in and out of the standard, cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.providers.openai import sse
from router.providers.openai.sse import DONE, EventLines, EventTooLong

A, B = b'{"a":1}', b'{"b":2}'

WRITTEN: dict[str, tuple[bytes, list[bytes]]] = {
    "as OpenAI does": (b'data: {"a":1}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n', [A, B, DONE]),
    "without the space": (b'data:{"a":1}\n\ndata:{"b":2}\n\ndata:[DONE]\n\n', [A, B, DONE]),
    "with carriage returns": (b'data: {"a":1}\r\n\r\ndata: {"b":2}\r\n\r\n', [A, B]),
    "with carriage returns only": (b'data: {"a":1}\r\rdata: {"b":2}\r\r', [A, B]),
    "without blank lines": (b'data: {"a":1}\ndata: {"b":2}\n', [A, B]),
    "without a last line's end": (b'data: {"a":1}\n\ndata: {"b":2}', [A, B]),
    "with a byte order mark": (b'\xef\xbb\xbfdata: {"a":1}\n\ndata: {"b":2}\n\n', [A, B]),
    "with fields and comments": (b': hi\n\nevent: x\nid: 1\nretry: 5\ndata: {"a":1}\n\n:\n\ndata: {"b":2}\n\n', [A, B]),
    "with empty events": (b'data: \n\ndata:\n\ndata: {"a":1}\n\ndata\n\ndata: {"b":2}\n\n', [A, B]),
    "an event over several lines": (b'data: {\ndata: "a":1\ndata: }\n\ndata: {"b":2}\n\n', [b'{\n"a":1\n}', B]),
    "a line broken within an event": (b'data: {"a":\n1}\n\ndata: {"b":2}\n\n', [b'{"a":\n1}', B]),
    "lines of JSON": (b'{"a":1}\n{"b":2}\n', [A, B]),
    "one body": (b'{"a":1}', [A]),
    "one body on many lines": (b'{\n "a":1\n}\n', [b'{\n"a":1\n}']),
    "an object without its field": (b'data: {"a":1}\n\n{"b":2}\n\n', [A, B]),
    "an end in other words": (b'data: {"a":1}\n\ndata: "[DONE]"\n\n', [A, DONE]),
    "a half event before the end": (b'data: {"a":1\ndata: [DONE]\n\n', [b'{"a":1', DONE]),
}


@pytest.mark.parametrize(("written", "events"), WRITTEN.values(), ids=WRITTEN.keys())
def test_events_are_read_however_they_are_written_and_cut(written: bytes, events: list[bytes]) -> None:
    for size in range(1, len(written) + 1):
        lines = EventLines()
        pieces = [written[at : at + size] for at in range(0, len(written), size)]
        read = [event for piece in pieces for event in lines.feed(piece)] + lines.end()
        assert read == events, size


@given(st.binary(max_size=200), st.integers(1, 20))
def test_no_bytes_raise(noise: bytes, size: int) -> None:
    lines = EventLines()
    for at in range(0, len(noise), size):
        lines.feed(noise[at : at + size])
    lines.end()


@pytest.mark.parametrize("line", [b"data: {", b'data: {"a":\n' * 2])
def test_an_event_without_end_is_given_up(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LONGEST_EVENT", 10)
    with pytest.raises(EventTooLong):
        EventLines().feed(line + b"x" * 11)
