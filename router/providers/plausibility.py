"""Usage held against what came and how long it took: what cannot be true is counted by us, and flagged.

Nobody but the provider knows what it read and thought in hiding, so a report is believed unless it contradicts itself,
the text, the time or the size of the question.
"""

from collections.abc import Sequence

from router.providers.base import Metered, ProviderRequest
from router.providers.counting import count_input_tokens, count_tokens
from router.providers.thinking import thinking_budget
from router.types import Precision, Usage

CHARACTERS_PER_TOKEN = 8  # ordinary text has fewer in every language and vocabulary: above it is counted
FEW_CHARACTERS = 16  # so short a text proves nothing
LEAST_SHARE = 1.5  # our count may exceed a report by so much: vocabularies differ
SPARE_TOKENS = 10
BYTES_PER_TOKEN = 40  # of a request's body: above, its messages are counted
LEAST_INPUT_SHARE = 5.0  # images and files are counted very differently
MOST_INPUT_TOKENS = 20_000_000  # more than any model reads
MOST_OUTPUT_TOKENS = 1 << 20  # more than any model says in one answer
FASTEST_TOKENS_PER_SECOND = 20_000  # more than any model makes; answers kept ready come at once, but bring their text
AT_ONCE_TOKENS = 10_000
PACE_TOKENS_PER_SECOND = 100  # of a model that was cut off and of which nothing was seen


def hold_against(
    reported: Metered,
    request: ProviderRequest,
    visible: Sequence[str],
    thinking: Sequence[str],
    *,
    body_bytes: int,
    seconds: float,
) -> Metered:
    """Return the usage as reported where it can be true; else each side that cannot as we count it, flagged.

    `body_bytes` is the size of the request that the answer is to, `seconds` how long the call took.
    """
    usage = reported.usage
    said, thought = sum(map(len, visible)), sum(map(len, thinking))
    has_input = _is_input_plausible(usage.input_tokens, request, body_bytes)
    has_output = _is_output_plausible(usage.output_tokens, said + thought, visible, thinking, seconds)
    is_split = usage.output_visible > 0 or not said
    if has_input and has_output and is_split:
        return reported
    input_part, output_part = usage, usage
    if not has_input:
        input_part = Usage(input_fresh=count_input_tokens(request.messages))
    if not has_output:
        output_part = _count_output(visible, thinking)
    elif not is_split:
        shown = min(count_tokens("".join(visible)), usage.output_tokens)
        output_part = Usage(output_visible=shown, output_reasoning=usage.output_tokens - shown)
    judged = Usage(
        input_part.input_fresh,
        input_part.input_cached,
        input_part.input_cache_write,
        output_part.output_visible,
        output_part.output_reasoning,
    )
    return Metered(judged, Precision.ESTIMATED, reported.raw)


def estimate_usage(request: ProviderRequest, visible: Sequence[str], thinking: Sequence[str]) -> Metered:
    """Count what a provider did not report; the result is flagged as estimated."""
    usage = Usage(input_fresh=count_input_tokens(request.messages)) + _count_output(visible, thinking)
    return Metered(usage, Precision.ESTIMATED)


def estimate_cut(
    request: ProviderRequest,
    visible: Sequence[str],
    thinking: Sequence[str],
    *,
    most_output: int,
    silent_seconds: float,
) -> Metered:
    """Estimate what a call cost that was cut off or broke: what was sent, what came, and what the silence may hide.

    `silent_seconds` passed before the first piece came, or the whole time where none did. In that time a model may
    have written an answer that we did not see, or thought where it does not show its thinking.
    """
    seen = estimate_usage(request, visible, thinking).usage
    hidden = round(silent_seconds * PACE_TOKENS_PER_SECOND)
    if not seen.output_tokens:
        unseen = Usage(output_visible=min(hidden, most_output))
    elif not seen.output_reasoning:
        unseen = Usage(output_reasoning=min(hidden, thinking_budget(request), most_output))
    else:
        unseen = Usage()
    return Metered(seen + unseen, Precision.ESTIMATED)


def add_interim(reported: Metered, cut: Metered) -> Metered:
    """Return the estimate of a call that was cut off after it told what it had used so far.

    Its input is known by then. Of what it told and what is estimated without it, the larger output counts.
    """
    told, estimated = reported.usage, cut.usage
    output = estimated if estimated.output_tokens > told.output_tokens else told
    usage = Usage(
        told.input_fresh, told.input_cached, told.input_cache_write, output.output_visible, output.output_reasoning
    )
    return Metered(usage, Precision.ESTIMATED, reported.raw)


def _count_output(visible: Sequence[str], thinking: Sequence[str]) -> Usage:
    return Usage(output_visible=count_tokens("".join(visible)), output_reasoning=count_tokens("".join(thinking)))


def _is_input_plausible(tokens: int, request: ProviderRequest, body_bytes: int) -> bool:
    if not 0 < tokens <= MOST_INPUT_TOKENS:
        return False
    if tokens * BYTES_PER_TOKEN >= body_bytes:
        return True
    return count_input_tokens(request.messages) <= tokens * LEAST_INPUT_SHARE + SPARE_TOKENS


def _is_output_plausible(
    tokens: int, characters: int, visible: Sequence[str], thinking: Sequence[str], seconds: float
) -> bool:
    if tokens == 0:
        return characters == 0
    has_too_few = characters > tokens * CHARACTERS_PER_TOKEN + FEW_CHARACTERS
    has_too_many = tokens > AT_ONCE_TOKENS + seconds * FASTEST_TOKENS_PER_SECOND
    if tokens > MOST_OUTPUT_TOKENS:
        return False
    if not (has_too_few or has_too_many):
        return True
    counted = count_tokens("".join(visible)) + count_tokens("".join(thinking))
    return tokens <= counted * 4 if has_too_many else counted <= tokens * LEAST_SHARE + SPARE_TOKENS
