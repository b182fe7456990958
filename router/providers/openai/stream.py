"""The chunks of one stream in OpenAI's dialect as our deltas, mended, and whether the answer came to its end.

However a provider sends them, each choice ends with one finish reason, its tool calls are numbered and named once, no
letter is cut in two, and usage is the last that says anything. What is mended and what is not: docs/mending.md.
"""

from typing import Any

from router.errors import Cause, ProviderError
from router.providers.base import Delta, Metered
from router.providers.openai import wire
from router.providers.openai.endings import ending_of, heavier, is_failure
from router.providers.openai.letters import LetterJoiner
from router.providers.openai.salvage import UNREAD_CHUNK, answer_of, objects_in
from router.providers.openai.sse import LONGEST_EVENT
from router.providers.openai.thinking_tags import LONE_CLOSING, ThinkingTags, split_thinking
from router.providers.openai.tool_calls import ANY_ANSWER, Expectation, ToolCallPieces
from router.providers.refusals import error_for, failure_in, parse_decoded
from router.providers.usage import later, normalise
from router.types import UNREADABLE

MOST_UNREAD = 32  # lines or events that may be pieces of one: each is tried with all before it


class ChunkReader:
    """Turns the chunks of one stream into deltas, and knows at its end whether it was whole.

    `splits_thinking`: thinking stands in the content, between tags. `opens_in_prompt`: the opening tag is not sent.
    `dropped` names what was left out of the request; what is left out of the answer is added.
    """

    __slots__ = (
        "_calls",
        "_charset",
        "_dropped",
        "_endings",
        "_expected",
        "_goes_on",
        "_has_usage_last",
        "_is_calm",
        "_is_damaged",
        "_letters",
        "_metered",
        "_name",
        "_said",
        "_secret",
        "_splits_thinking",
        "_tags",
        "_unread",
        "opens_in_prompt",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        secret: str | None,
        dropped: list[str],
        *,
        splits_thinking: bool = False,
        opens_in_prompt: bool = False,
        expected: Expectation = ANY_ANSWER,
        charset: str | None = None,
    ) -> None:
        self._name = name
        self._secret = secret
        self._dropped = dropped
        self._splits_thinking = splits_thinking
        self.opens_in_prompt = opens_in_prompt  # as this answer shows it
        self._expected = expected
        self._charset = charset
        self._tags: dict[int, ThinkingTags] = {}
        self._calls: dict[int, ToolCallPieces] = {}
        self._letters: dict[tuple[int, str], LetterJoiner] = {}
        self._said: set[int] = set()  # choices that have said something
        self._endings: dict[int, str] = {}  # why they ended, as it was told
        self._goes_on = False  # something came after an end
        self._has_usage_last = False
        self._metered: Metered | None = None
        self._unread = b""  # what could not be read; it may be half an event
        self._is_damaged = False
        self._is_calm = False  # the next chunk is likely to be text and nothing else

    @property
    def is_complete(self) -> bool:
        """Tell whether every choice that began has ended, and nothing ever came after an end."""
        return bool(self._endings) and not self._goes_on and self._said <= self._endings.keys()

    @property
    def ended(self) -> int:
        """How many choices have ended."""
        return len(self._endings)

    @property
    def has_usage(self) -> bool:
        """Tell whether usage has come."""
        return self._metered is not None

    def read(self, event: bytes) -> list[Delta]:
        """Return the deltas in one event; raises ProviderError for an error in its place."""
        if self._is_calm:
            try:
                plain = wire.decode_plain(event)
            except UNREADABLE:
                self._is_calm = False
            else:
                if (deltas := self._plain(plain)) is not None:
                    return deltas
        try:
            chunk = wire.decode(event)
        except UNREADABLE:
            return self._read_odd(event)
        if self._unread:
            self._give_up_unread()
        if not chunk.choices and (not chunk.usage or b"base_resp" in event):
            raise_failure_in(self._name, event, self._secret)
            if b'"choices"' in event:  # they may be further in
                return self._read_odd(event)
        return self.add(chunk)

    def add(self, chunk: wire.WireAnswer, *, is_odd: bool = False) -> list[Delta]:
        """Return the deltas in one chunk; raises ProviderError for an error in its place."""
        if chunk.error:
            raise error_of_chunk(self._name, chunk.error, self._secret)
        deltas = []
        for place, choice in enumerate(chunk.choices or ()):
            if choice.error:
                raise error_of_choice(self._name, choice, self._secret)
            delta = wire.delta_of(choice, place, self._expected.choices)
            if choice.logprobs is not None or type(choice.words.content) is list:
                wire.note_losses(choice, self._dropped)
            self._mend(delta, choice, is_odd=is_odd)
            if delta.content or _says_anything(delta):
                deltas.append(delta)
        self._has_usage_last = not chunk.choices and chunk.usage is not None
        usage = wire.usage_of(chunk)
        self._is_calm = not (is_odd or usage or self._letters or self._endings or self._dropped)
        metered = normalise(usage) if usage else None
        if metered is not None or self._dropped or chunk.service_tier or chunk.system_fingerprint:
            self._annotate(deltas, chunk, metered)
        return deltas

    def _plain(self, chunk: wire.PlainChunk) -> list[Delta] | None:
        """Return the deltas of a chunk in the middle of an answer; None where more has to be looked at."""
        if not chunk.choices:
            return None
        deltas = []
        for choice in chunk.choices:
            index, said = choice.index, choice.delta
            if index not in self._said:
                return None
            content, thought, pieces = said.content or None, said.reasoning_content or None, said.tool_calls
            if content and self._splits_thinking:
                tags = self._tags.get(index)
                if tags is None or not tags.is_decided:
                    return None
                if LONE_CLOSING in content:
                    self.opens_in_prompt = True
            arguments = None
            if pieces and (len(chunk.choices) > 1 or (arguments := self._more_arguments(index, pieces)) is None):
                return None
            if content or thought or arguments:
                delta = Delta(index, content, thought, tool_calls=arguments)
                delta.service_tier, delta.system_fingerprint = chunk.service_tier, chunk.system_fingerprint
                deltas.append(delta)
        return deltas

    def _more_arguments(self, index: int, pieces: list[wire.PlainPiece]) -> list[dict[str, Any]] | None:
        """Add arguments to a call that is known by this number; None where it takes more to find it."""
        calls, piece = self._calls.get(index), pieces[0]
        if calls is None or len(pieces) > 1 or not calls.goes_on(piece.index, piece.function.arguments):
            return None
        return [{"index": piece.index, "function": {"arguments": piece.function.arguments}}]

    def end(self, *, is_done: bool = False) -> list[Delta]:
        """Return what was held back and the ends; raises ProviderError when the stream ended before the answer did.

        `is_done`: the provider said that this is the end.
        """
        if self._unread:
            self._give_up_unread()
        is_end = is_done or self._has_usage_last
        unfinished = self._said - self._endings.keys()
        if self._is_damaged and (unfinished or not self._endings):
            raise ProviderError(f"{self._name} sent a broken stream", provider_status=200, cause=Cause.NONSENSE)
        if not (self._endings or self._said) or (unfinished and not is_end):
            raise ProviderError(f"{self._name} broke off its answer", provider_status=200, cause=Cause.BROKEN_OFF)
        deltas = self._release()
        for index in sorted(self._said | self._endings.keys()):
            calls = self._calls.get(index)
            ending = ending_of(self._endings.get(index), has_calls=bool(calls), names_tool=self._expected.names_tool)
            deltas.append(Delta(index, tool_calls=(calls.end() or None) if calls else None, finish_reason=ending))
        if self._dropped:
            deltas[-1].dropped, self._dropped = self._dropped, []
        return deltas

    def _mend(self, delta: Delta, choice: wire.WireChoice, *, is_odd: bool) -> None:
        index = delta.index
        if choice.delta is None and choice.message is not None:
            if index in self._said:
                delta.content = delta.reasoning = delta.refusal = delta.tool_calls = None  # all of it, once more
            elif delta.finish_reason is None:
                delta.finish_reason = "stop"
            if self._splits_thinking and delta.content and not delta.reasoning:
                delta.content, delta.reasoning = split_thinking(delta.content)
                self._said.add(index)
        if is_odd or self._letters:
            self._join_letters(delta)
        if delta.content is not None and self._splits_thinking and choice.message is None:
            self._split(delta)
        if delta.tool_calls is not None:
            calls = self._calls.get(index)
            if calls is None:
                calls = self._calls[index] = ToolCallPieces(self._expected)
            delta.tool_calls = calls.add(delta.tool_calls) or None
            self._said.add(index)
        if delta.content is not None or delta.reasoning is not None or delta.refusal is not None:
            self._said.add(index)
            self._goes_on = self._goes_on or index in self._endings
        if delta.finish_reason is not None:
            reason, delta.finish_reason = delta.finish_reason, None
            if is_failure(reason, has_said=index in self._said):
                raise error_of_choice(self._name, choice, self._secret)
            self._endings[index] = heavier(self._endings.get(index), reason)

    def _read_odd(self, event: bytes) -> list[Delta]:
        """Read an event that is no plain chunk: field by field, with what came before, or line by line."""
        found = objects_in(event, self._charset)
        if not found and self._unread:
            found = objects_in(self._unread + b"\n" + event, self._charset)
            self._unread = b"" if found else self._unread
        if not found and b"\n" in event:
            found = [one for line in event.split(b"\n") for one in objects_in(line, self._charset)]
        if not found:
            if self._unread or event.lstrip().startswith((b"{", b"[{")):
                self._unread = self._unread + b"\n" + event if self._unread else event
                if len(self._unread) > LONGEST_EVENT or self._unread.count(b"\n") > MOST_UNREAD:
                    self._give_up_unread()
            return []  # else it was nobody's answer: a sign of life
        if self._unread:
            self._give_up_unread()
        deltas = []
        for one in found:
            if not one.get("choices"):
                raise_failure_in(self._name, one, self._secret)
            deltas += self.add(answer_of(one, self._dropped), is_odd=True)
        return deltas

    def _give_up_unread(self) -> None:
        self._unread = b""
        self._is_damaged = True
        if UNREAD_CHUNK not in self._dropped:
            self._dropped.append(UNREAD_CHUNK)

    def _annotate(self, deltas: list[Delta], chunk: wire.WireAnswer, metered: Metered | None) -> None:
        if not deltas:
            if metered is None and not self._dropped:
                return
            deltas.append(Delta())
        delta = deltas[-1]
        if metered is not None:
            delta.metered = self._metered = later(self._metered, metered)
        delta.service_tier, delta.system_fingerprint = chunk.service_tier, chunk.system_fingerprint
        if self._dropped:
            delta.dropped, self._dropped = self._dropped, []

    def _split(self, delta: Delta) -> None:
        assert delta.content is not None
        tags = self._tags.get(delta.index)
        if tags is None:
            opens_in_prompt = self.opens_in_prompt and delta.reasoning is None and delta.index not in self._said
            tags = self._tags[delta.index] = ThinkingTags(opens_in_prompt=opens_in_prompt)
        if tags.is_decided:
            self.opens_in_prompt = self.opens_in_prompt or LONE_CLOSING in delta.content
            return
        self._said.add(delta.index)
        visible, thought = tags.split(delta.content)
        delta.content, delta.reasoning = visible or None, thought or delta.reasoning

    def _join_letters(self, delta: Delta) -> None:
        """Join letters that are cut over chunks; once one was, all that follows goes this way."""
        for field in ("content", "reasoning", "refusal"):
            text = getattr(delta, field)
            joiner = self._letters.get((delta.index, field))
            if joiner is None and text:
                joiner = self._letters[delta.index, field] = LetterJoiner()
            if joiner is not None and text:
                setattr(delta, field, joiner.join(text) or None)
                self._said.add(delta.index)

    def _release(self) -> list[Delta]:
        held = []
        for (index, field), joiner in self._letters.items():
            if rest := joiner.end():
                delta = Delta(index)
                setattr(delta, field, rest)
                if field == "content" and self._splits_thinking:
                    self._split(delta)
                held.append(delta)
        for index, tags in self._tags.items():
            visible, thought = tags.end()
            if visible or thought:
                held.append(Delta(index, visible or None, thought or None))
                self.opens_in_prompt = False  # the thinking never ended
        return held


def _says_anything(delta: Delta) -> bool:
    return bool(
        delta.finish_reason
        or delta.stop_sequence
        or delta.reasoning
        or delta.tool_calls
        or delta.refusal
        or delta.logprobs
        or delta.thinking_blocks
        or delta.state
    )


def error_of_chunk(name: str, error: object, secret: str | None) -> ProviderError:
    """Turn an error that came inside a successful response into ours."""
    return error_for(name, 200, parse_decoded(error), secret=secret)


def error_of_choice(name: str, choice: wire.WireChoice, secret: str | None) -> ProviderError:
    """Turn a choice that is an error into ours."""
    if choice.error:
        return error_of_chunk(name, choice.error, secret)
    return ProviderError(f"{name} broke off its answer", provider_status=200, cause=Cause.BROKEN_OFF)


def raise_failure_in(name: str, body: bytes | dict[str, Any], secret: str | None) -> None:
    """Raise what a body or a chunk without choices tells in place of an answer; nothing where it tells none."""
    failure = failure_in(body)
    if failure is not None:
        raise error_for(name, 200, failure, secret=secret)
