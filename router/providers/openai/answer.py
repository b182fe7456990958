"""The one body of a whole answer in OpenAI's dialect as our Completion, mended; a stream in its place is joined."""

import msgspec

from router.errors import Cause, ProviderError
from router.providers.base import Choice, Completion
from router.providers.collecting import fold
from router.providers.openai import wire
from router.providers.openai.endings import PLAIN_ENDINGS, is_failure
from router.providers.openai.letters import whole_letters
from router.providers.openai.salvage import answer_of, objects_in
from router.providers.openai.sse import DONE, EventLines
from router.providers.openai.stream import ChunkReader, error_of_choice, error_of_chunk, raise_failure_in
from router.providers.openai.thinking_tags import split_thinking
from router.providers.openai.tool_calls import ANY_ANSWER, Expectation
from router.providers.usage import normalise
from router.types import UNREADABLE


class AnswerReader(msgspec.Struct, frozen=True):
    """Reads whole answers of one provider to one request. Fields as those of `ChunkReader`."""

    name: str
    secret: str | None
    dropped: list[str]
    splits_thinking: bool = False
    expected: Expectation = ANY_ANSWER
    charset: str | None = None

    def read(self, body: bytes) -> Completion:
        """Return the answer in a body; raises ProviderError where there is none, or an error in its place."""
        try:
            answer = wire.decode(body)
        except UNREADABLE:
            return self._read_odd(body)
        return self.completion_of(answer) if answer.choices else self._read_odd(body)

    def completion_of(self, answer: wire.WireAnswer, *, is_odd: bool = False) -> Completion:
        """Return an answer that was decoded; raises ProviderError where it holds none."""
        if answer.error and not answer.choices:
            raise error_of_chunk(self.name, answer.error, self.secret)
        choices, failed = [], None
        for place, found in enumerate(answer.choices or ()):
            choice = wire.choice_of(found, place, self.expected)
            message = found.delta or found.message
            if found.logprobs is not None or (message is not None and type(message.content) is list):
                wire.note_losses(found, self.dropped)
            if found.error or (found.finish_reason not in PLAIN_ENDINGS and _has_failed(found.finish_reason, choice)):
                failed = failed or error_of_choice(self.name, found, self.secret)
            else:
                if is_odd or self.splits_thinking:
                    self._mend(choice, is_odd=is_odd)
                choices.append(choice)
        if not choices:
            raise failed or ProviderError(f"{self.name} returned no answer", provider_status=200, cause=Cause.NONSENSE)
        if len(choices) > self.expected.choices:
            choices = _merge(choices, self.expected.choices)
        metered = normalise(wire.usage_of(answer))
        dropped = list(dict.fromkeys(self.dropped)) if self.dropped else self.dropped
        return Completion(choices, metered, self.name, answer.service_tier, answer.system_fingerprint, dropped)

    def _mend(self, choice: Choice, *, is_odd: bool) -> None:
        if is_odd:
            choice.content, choice.reasoning, choice.refusal = (
                whole_letters(text) if text else text for text in (choice.content, choice.reasoning, choice.refusal)
            )
        if self.splits_thinking and choice.content and not choice.reasoning:
            choice.content, thought = split_thinking(choice.content)
            choice.reasoning = thought or None

    def _read_odd(self, body: bytes) -> Completion:
        found = objects_in(body, self.charset)
        if not found or len(found) > 1 or _is_chunk(found[0]):
            return self._join(body, found)
        if not found[0].get("choices"):
            raise_failure_in(self.name, found[0], self.secret)
        return self.completion_of(answer_of(found[0], self.dropped), is_odd=True)

    def _join(self, body: bytes, found: list[dict[str, object]]) -> Completion:
        """Join a stream that came where a whole answer was asked for."""
        reader = ChunkReader(
            self.name,
            self.secret,
            self.dropped,
            splits_thinking=self.splits_thinking,
            expected=self.expected,
            charset=self.charset,
        )
        deltas = [delta for one in found for delta in reader.add(answer_of(one, self.dropped), is_odd=True)]
        is_done = bool(found)
        if not found:
            lines = EventLines()
            events = [*lines.feed(body), *lines.end()]
            if not events:
                raise ProviderError(f"{self.name} sent no valid answer", provider_status=200, cause=Cause.NONSENSE)
            for event in events:
                is_done = is_done or event == DONE
                deltas += reader.read(event) if not is_done else []
        deltas += reader.end(is_done=is_done)
        return fold(deltas, self.name)


def _merge(choices: list[Choice], wanted: int) -> list[Choice]:
    """Return as many choices as were asked for; some providers put text and tool calls of one answer into two."""
    kept, more = choices[:wanted], choices[wanted:]
    for extra in more if wanted == 1 else ():
        if extra.tool_calls and not kept[0].tool_calls:
            kept[0].tool_calls, kept[0].finish_reason = extra.tool_calls, extra.finish_reason
        kept[0].content = kept[0].content or extra.content
        kept[0].reasoning = kept[0].reasoning or extra.reasoning
    return kept


def _is_chunk(found: dict[str, object]) -> bool:
    choices = found.get("choices")
    return isinstance(choices, list) and bool(choices) and isinstance(choices[0], dict) and "delta" in choices[0]


def _has_failed(reason: str | None, choice: Choice) -> bool:
    has_said = bool(choice.content or choice.reasoning or choice.refusal or choice.tool_calls)
    return is_failure(reason or "", has_said=has_said)
