"""Server-sent events, decoded as they come in, from servers that keep to the standard and from those that do not."""

LONGEST_EVENT = 16 << 20
DONE = b"[DONE]"

_BOM = b"\xef\xbb\xbf"
_FIELDS = (b":", b"event:", b"id:", b"retry:")
_ENDS = frozenset({DONE, b"[done]", b"DONE", b'"[DONE]"', b"[END]"})


class EventTooLong(ValueError):
    """An event grew beyond any sensible size."""


class EventLines:
    """Splits a byte stream into payloads; `[DONE]` comes as `DONE`. Comments and other fields are passed over.

    Chat streams put each event on one line, so a line is an event, with a blank line after it or without. An object
    that goes on over several lines ends with a blank line, whether `data:` stands before each of them or not. Objects
    without `data:` are events too: lines of JSON, or one body instead of a stream.
    """

    __slots__ = ("_has_begun", "_open", "_open_bytes", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._open: list[bytes] = []
        self._open_bytes = 0
        self._has_begun = False

    def feed(self, received: bytes) -> list[bytes]:
        """Return the payloads completed by these bytes; raises EventTooLong."""
        if self._rest:
            received = self._rest + received
        elif (
            received.startswith(b"data: {")
            and received.endswith(b"}\n\n")
            and not self._open
            and received.count(b"\n") == 2
        ):
            return [received[6:-2]]  # what most packets are
        if not self._has_begun and received:
            if _BOM.startswith(received[:3]) and len(received) < 3:
                self._rest = received
                return []
            self._has_begun = True
            received = received.removeprefix(_BOM)
        half_end = b""
        if b"\r" in received:
            if received.endswith(b"\r"):  # its line feed may be on its way
                received, half_end = received[:-1], b"\r"
            received = received.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = received.split(b"\n")
        self._rest = lines.pop() + half_end
        if len(self._rest) > LONGEST_EVENT:
            raise EventTooLong
        events: list[bytes] = []
        for line in lines:
            if not self._open and line.startswith(b"data: {") and line.endswith(b"}"):
                events.append(line[6:])
            elif line or self._open:
                self._take(line, events)
        return events

    def end(self) -> list[bytes]:
        """Return what a stream that ends without a final newline leaves."""
        events: list[bytes] = []
        rest, self._rest = self._rest.removesuffix(b"\r").removeprefix(_BOM), b""
        self._take(rest, events)
        if self._open:
            self._close(events)
        return events

    def _take(self, line: bytes, events: list[bytes]) -> None:
        if line.startswith(b"data:"):
            payload = line[5:].strip()
        elif not (payload := line.strip()):
            if self._open:
                self._close(events)
            return
        elif payload.startswith(b"data:"):
            payload = payload[5:].strip()
        elif payload.startswith(_FIELDS) or not (self._open or payload.startswith((b"{", DONE))):
            return
        if payload in _ENDS:
            if self._open:
                self._close(events)
            events.append(DONE)
        elif self._open or (payload.startswith(b"{") and not payload.endswith(b"}")):
            self._continue(payload)
        elif payload:
            events.append(payload)

    def _continue(self, payload: bytes) -> None:
        self._open.append(payload)
        self._open_bytes += len(payload) + 1
        if self._open_bytes > LONGEST_EVENT:
            raise EventTooLong

    def _close(self, events: list[bytes]) -> None:
        events.append(b"\n".join(self._open))
        self._open.clear()
        self._open_bytes = 0
