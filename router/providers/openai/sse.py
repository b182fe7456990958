"""Server-sent events, decoded as they come in."""

LONGEST_EVENT = 16 << 20


class EventTooLong(ValueError):
    """An event grew beyond any sensible size."""


class EventLines:
    """Splits a byte stream into the payloads of its `data:` lines; comments and other fields are passed over.

    Chat streams put each event on one line, so a line is an event.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> list[bytes]:
        """Return the payloads completed by these bytes."""
        if self._rest:
            received = self._rest + received
        lines = received.split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > LONGEST_EVENT:
            raise EventTooLong
        return [line[5:].strip() for line in lines if line.startswith(b"data:")]

    def end(self) -> list[bytes]:
        """Return what a stream that ends without a final newline leaves."""
        rest, self._rest = self._rest, b""
        return [rest[5:].strip()] if rest.startswith(b"data:") else []
