"""Tool calls as clients need them: numbered from 0, each with its own id, named once, with arguments that are text.

Providers number all calls 0, or none, or from 1; leave ids out, repeat them or change them with each piece; name a
function in every piece, in parts, or after its arguments; send arguments as an object, as null, or all of them again
and again. Which piece belongs to which call is told by its id, then its number, then by where it stands.
"""

import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from router.providers.openai.letters import LetterJoiner, whole_letters
from router.types import UNREADABLE

MOST_CHOICES = 128
FUNCTION, CUSTOM = "function", "custom"
TEXT_OF = {FUNCTION: "arguments", CUSTOM: "input"}
NO_ARGUMENTS = "{}"


class Expectation(msgspec.Struct, frozen=True):
    """What a request says about its answer: how many choices, and of tool calls the names of the tools, whether it
    names one, and the ids that the conversation has."""

    choices: int = MOST_CHOICES
    tools: frozenset[str] = frozenset()
    names_tool: bool = False
    ids: frozenset[str] = frozenset()


def expectation_of(params: Mapping[str, Any], messages: Iterable[Mapping[str, Any]]) -> Expectation:
    """Read it out of a request's parameters and messages."""
    tools, choices = params.get("tools"), params.get("n") or 1
    if not tools:
        return ONE_CHOICE if choices == 1 else Expectation(choices)
    names = (name_in(tool.get(tool.get("type"))) for tool in tools)
    ids = (call.get("id") for message in messages for call in message.get("tool_calls") or ())
    names_tool = isinstance(params.get("tool_choice"), dict)
    return Expectation(choices, frozenset(filter(None, names)), names_tool, frozenset(filter(None, ids)))


ANY_ANSWER, ONE_CHOICE = Expectation(), Expectation(1)


def whole_calls(calls: Iterable[dict[str, Any]], expected: Expectation = ANY_ANSWER) -> list[dict[str, Any]]:
    """Mend the calls of a whole answer, without numbers; what is no call is left out."""
    mended, ids = [], set(expected.ids)
    for call in calls:
        kind, body = body_of_call(call)
        name, text = name_in(body), text_in(body, TEXT_OF[kind])
        if not (name or text):
            continue
        if kind == FUNCTION and not text.strip():
            text = NO_ARGUMENTS
        own = {
            "id": _own_id(_id_of(call), ids),
            "type": kind,
            kind: {"name": name, TEXT_OF[kind]: whole_letters(text)},
        }
        mended.append(own | _rest_of(call))
    return mended


class ToolCallPieces:
    """Mends the pieces of one choice's calls as they come."""

    __slots__ = ("_by_id", "_by_number", "_calls", "_expected", "_ids")

    def __init__(self, expected: Expectation = ANY_ANSWER) -> None:
        self._expected = expected
        self._calls: list[GrowingCall] = []
        self._by_id: dict[str, GrowingCall] = {}
        self._by_number: dict[int, GrowingCall] = {}
        self._ids = set(expected.ids)

    def __bool__(self) -> bool:
        """Tell whether there is a call."""
        return any(call.name or call.length for call in self._calls)

    def add(self, pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what of these pieces may go on to the client now."""
        mended = []
        for place, piece in enumerate(pieces):
            kind, body = body_of_call(piece)
            name, text = name_in(body), text_in(body, TEXT_OF[kind])
            call = self._find(piece, name, text, place if len(pieces) > 1 else len(self._calls) - 1)
            if call is None:
                call = self._begin(piece, kind)
            if (own := call.take(name, text, _rest_of(piece), self._expected.tools)) is not None:
                mended.append(own)
        return mended

    def goes_on(self, number: int, text: str) -> bool:
        """Add arguments that may go out as they are, as most may, to the call of this number; False for any other."""
        call = self._by_number.get(number)
        return call is not None and call.place == number and call.goes_on(text)

    def end(self) -> list[dict[str, Any]]:
        """Return what was held back, and the empty object for a function without arguments."""
        return [own for call in self._calls if (own := call.end()) is not None]

    def _find(self, piece: dict[str, Any], name: str, text: str, place: int) -> "GrowingCall | None":
        """Find the call that a piece goes on with: by its id, its number, or its place; None where it begins one."""
        own_id, number = _id_of(piece), _number_of(piece)
        known = self._by_id.get(own_id) if own_id else None
        if number is None:
            if known is not None:
                return known
            call = self._calls[place] if 0 <= place < len(self._calls) else None
            is_new = bool(own_id and name)
        else:
            call = self._by_number.get(number)
            if known is not None and (call is known or (call is None and known.number is None)):
                return known
            is_new = call is None and bool(own_id or name)
            if call is None and not is_new and self._calls and not self._calls[-1].is_whole:
                call = self._calls[-1]  # the number counts pieces, not calls
        if call is None or is_new or self._is_another(call, own_id, name, text):
            return None
        if own_id and call.provider_id is None:
            call.provider_id = own_id
            self._by_id[own_id] = call
        return call

    def _is_another(self, call: "GrowingCall", own_id: str | None, name: str, text: str) -> bool:
        """Tell whether a piece with the number or at the place of a call begins another one."""
        if not (name and call.name):
            return False
        if own_id and call.provider_id:
            return name != call.name or call.is_whole or not (text or call.length)
        if own_id:
            return call.is_whole
        if name != call.name:  # until arguments come, it may be the rest of a name
            return bool(call.length) or {name, call.name} <= self._expected.tools
        return bool(text) and call.is_whole and text != call.text

    def _begin(self, piece: dict[str, Any], kind: str) -> "GrowingCall":
        own_id, number = _id_of(piece), _number_of(piece)
        call = GrowingCall(len(self._calls), number, kind, own_id, self._ids)
        self._calls.append(call)
        if own_id:
            self._by_id.setdefault(own_id, call)
        if number is not None:
            self._by_number[number] = call
        return call


class GrowingCall:
    """One call as it grows, and what of it went out."""

    __slots__ = (
        "_held",
        "_ids",
        "_is_out",
        "_letters",
        "_pieces",
        "_rest",
        "kind",
        "length",
        "name",
        "number",
        "place",
        "provider_id",
    )

    def __init__(self, place: int, number: int | None, kind: str, provider_id: str | None, ids: set[str]) -> None:
        self.place = place
        self.number = number
        self.kind = kind
        self.provider_id = provider_id
        self.name = ""
        self.length = 0  # characters of arguments so far
        self._ids = ids
        self._pieces: list[str] = []
        self._is_out = False
        self._held: list[str] = []  # they go on, or say it all again: the end will tell
        self._letters = LetterJoiner()
        self._rest: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The arguments so far."""
        return "".join(self._pieces)

    @property
    def is_whole(self) -> bool:
        """Tell whether the arguments so far are JSON."""
        return not self._held and _is_json(self.text)

    def goes_on(self, text: str) -> bool:
        """Add a piece that may go out as it is; False where it may not."""
        if (
            not self._is_out
            or self._held
            or not 0 < len(text) < self.length
            or not text.isascii()
            or self._letters.held
        ):
            return False
        self._pieces.append(text)
        self.length += len(text)
        return True

    def take(self, name: str, text: str, rest: dict[str, Any], tools: frozenset[str]) -> dict[str, Any] | None:
        """Add a piece and return what may go out now; None where nothing may."""
        if name and not self._is_out and not (self.name and self.length):
            is_fragment = self.name and name != self.name and not name.startswith(self.name)
            self.name = self.name + name if is_fragment else name
        if text and (self._letters.held or not text.isascii()):
            text = self._letters.join(text)
        if text and (self._held or self._may_repeat(text)):
            self._held.append(text)
            text = ""
        elif text:
            self._pieces.append(text)
            self.length += len(text)
        if self._is_out:
            return self._piece(text, rest)
        self._rest |= rest
        is_named = self.name and (self.length or not tools or self.name in tools)
        return self._announcement() if is_named else None

    def end(self) -> dict[str, Any] | None:
        """Return what is left to go out."""
        text = self._letters.end() + self._settle()
        if self.kind == FUNCTION and not text and not self.text.strip():
            text = NO_ARGUMENTS if self.name else ""
        self._pieces.append(text)
        self.length += len(text)
        if self._is_out:
            return self._piece(text, {})
        return self._announcement() if self.name or self.length else None

    def _may_repeat(self, text: str) -> bool:
        """Tell whether a piece begins with all there is: some providers send the arguments so far each time."""
        return 0 < self.length <= len(text) and self.kind == FUNCTION and text.startswith(self.text)

    def _settle(self) -> str:
        """Return what the pieces that were held back add: nothing where they said the same again."""
        if not self._held:
            return ""
        held, self._held = self._held, []
        added, longest = "".join(held), max(held, key=len)
        if not _is_json(self.text + added) and _is_json(longest) and longest.startswith(self.text):
            return longest[self.length :]
        return added

    def _announcement(self) -> dict[str, Any]:
        self._is_out = True
        named = {"name": self.name, TEXT_OF[self.kind]: self.text}
        own = {"index": self.place, "id": _own_id(self.provider_id, self._ids), "type": self.kind, self.kind: named}
        return own | self._rest

    def _piece(self, text: str, rest: dict[str, Any]) -> dict[str, Any] | None:
        if not (text or rest):
            return None
        own: dict[str, Any] = {"index": self.place}
        if text:
            own[self.kind] = {TEXT_OF[self.kind]: text}
        return own | rest


def body_of_call(call: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the kind of a call and what it says; some put the name beside the id."""
    custom = call.get(CUSTOM)
    if isinstance(custom, dict):
        return CUSTOM, custom
    function = call.get(FUNCTION)
    if isinstance(function, dict):
        return FUNCTION, function
    return FUNCTION, {"name": function, **call} if isinstance(function, str) else call


def name_in(body: Any) -> str:
    """Return the name in a function, "" where there is none."""
    name = body.get("name") if isinstance(body, dict) else None
    return name if isinstance(name, str) else ""


def text_in(body: dict[str, Any], key: str) -> str:
    """Return arguments as text, whatever they came as; an empty object may be a place for what follows."""
    given = body.get(key)
    if given is None and key == "arguments":
        given = body.get("parameters")
    if isinstance(given, str):
        return given
    return whole_letters(json.dumps(given, ensure_ascii=False, separators=(",", ":"))) if given else ""


def _id_of(piece: dict[str, Any]) -> str | None:
    given = piece.get("id")
    return str(given) if type(given) is int else given if isinstance(given, str) and given else None


def _number_of(piece: dict[str, Any]) -> int | None:
    number = piece.get("index")
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) < 4:
        return int(number)
    if isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number < 1_000:
        return int(number)
    return None


def _own_id(given: str | None, taken: set[str]) -> str:
    """Return the id that a provider gave, or a new one where there is none or another call has it."""
    own_id = given if given and given not in taken else f"call_{secrets.token_hex(12)}"
    taken.add(own_id)
    return own_id


_OWN_KEYS = frozenset({"index", "id", "type", FUNCTION, CUSTOM, "name", "arguments", "parameters"})


def _rest_of(call: dict[str, Any]) -> dict[str, Any]:
    """Return what a vendor adds to a call, such as the signature of a thought."""
    if len(call) <= 2 and call.keys() <= _OWN_KEYS:
        return {}
    return {key: value for key, value in call.items() if key not in _OWN_KEYS and value is not None}


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except UNREADABLE:
        return False
    return True
