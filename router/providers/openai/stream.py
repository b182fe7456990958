"""The chunks of one stream in OpenAI's dialect as our deltas, and whether the answer came to its end."""

import msgspec

from router.errors import ProviderError
from router.providers.base import Delta
from router.providers.openai import wire
from router.providers.openai.thinking_tags import ThinkingTags
from router.providers.refusals import error_for, parse_decoded
from router.providers.usage import normalise


class ChunkReader:
    """Turns the chunks of one stream into deltas, and knows at its end whether it was whole."""

    __slots__ = ("_dropped", "_has_finished", "_name", "_secret", "_splits_thinking", "_tags", "_unfinished")

    def __init__(self, name: str, secret: str | None, dropped: list[str], *, splits_thinking: bool) -> None:
        self._name = name
        self._secret = secret
        self._dropped = dropped
        self._splits_thinking = splits_thinking
        self._tags: dict[int, ThinkingTags] = {}
        self._unfinished: set[int] = set()
        self._has_finished = False

    def read(self, event: bytes) -> list[Delta]:
        """Return the deltas in one chunk; raises ProviderError for what is no chunk, or an error in its place."""
        try:
            chunk = wire.decode(event)
        except msgspec.MsgspecError as error:
            raise ProviderError(f"{self._name} sent a broken stream") from error
        if chunk.error is not None:
            raise error_of_chunk(self._name, chunk.error, self._secret)
        deltas = []
        for choice in chunk.choices or ():
            delta = wire.delta_of(choice)
            if delta.finish_reason is not None:
                if choice.finish_reason == "error":
                    raise ProviderError(f"{self._name} broke off its answer")
                self._unfinished.discard(delta.index)
                self._has_finished = True
            elif not self._has_finished:
                self._unfinished.add(delta.index)
            if self._splits_thinking:
                tags = self._tags.get(delta.index)
                if tags is None:
                    tags = self._tags[delta.index] = ThinkingTags()
                if not tags.is_decided:
                    self._split(tags, delta)
            deltas.append(delta)
        if chunk.usage or self._dropped or chunk.service_tier or chunk.system_fingerprint:
            if not deltas:
                deltas.append(Delta())
            self._annotate(deltas[-1], chunk)
        return [delta for delta in deltas if delta.content or _says_anything(delta)]

    def end(self) -> list[Delta]:
        """Return what was held back; raises ProviderError when the stream ended before the answer did."""
        held = []
        for index, tags in self._tags.items():
            visible, thought = tags.end()
            if visible or thought:
                held.append(Delta(index, visible or None, thought or None))
        if self._unfinished or not self._has_finished:
            raise ProviderError(f"{self._name} broke off its answer")
        return held

    def _annotate(self, delta: Delta, chunk: wire.WireAnswer) -> None:
        delta.metered = normalise(chunk.usage)
        delta.service_tier, delta.system_fingerprint = chunk.service_tier, chunk.system_fingerprint
        if self._dropped:
            delta.dropped, self._dropped = self._dropped, []

    def _split(self, tags: ThinkingTags, delta: Delta) -> None:
        if delta.content is not None:
            visible, thought = tags.split(delta.content)
            delta.content, delta.reasoning = visible or None, thought or delta.reasoning
        if delta.finish_reason and not tags.is_decided:
            visible, thought = tags.end()
            delta.content = (delta.content or "") + visible or None
            delta.reasoning = (delta.reasoning or "") + thought or None


def _says_anything(delta: Delta) -> bool:
    return bool(
        delta.finish_reason
        or delta.reasoning
        or delta.tool_calls
        or delta.refusal
        or delta.metered
        or delta.logprobs
        or delta.dropped
    )


def error_of_chunk(name: str, error: object, secret: str | None) -> ProviderError:
    """Turn an error that came inside a successful response into ours."""
    details = parse_decoded(error)
    status = details.code if isinstance(details.code, int) and 400 <= details.code < 600 else 502
    return error_for(name, status, details.message, secret=secret, details=details)
