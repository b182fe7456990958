"""What the classifier reads of a conversation: the question, its context, and a bounded burden for the rest.

System and developer messages are not read: what an operator or a client writes there must not choose a tier.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from classifier.features import clipped
from classifier.instruction import Parts, is_long_prose, split
from classifier.types import Turn

FOLLOW_UP_CHARS = 160
_LONGEST_BURDEN = 0.6  # of a logit
# What agents and editors put into the user's turns on their own: nobody asks anything in a turn of nothing else.
_HARNESS_BLOCK = r"<((?:system|environment|editor|ide|session|workspace|todo|agent)[-_][a-z_-]+)>[^<]*</\1>"
_HARNESS_BLOCKS = re.compile(rf"(?:\s*{_HARNESS_BLOCK})+\s*")
_HARNESS = re.compile(_HARNESS_BLOCK)


class ConversationSummary(NamedTuple):
    """What is judged: a text, and how much the rest of the conversation is taken off both tiers' logits.

    `instruction` is what the last user turn asks for, without the material it works on (`has_material`); `earlier` is
    what the user turn before it asked for, where there was one. Material that is long prose, or of a harness, is
    `aside`: it does not belong to the question as the figures of a puzzle do.
    """

    text: str
    burden: float
    instruction: str
    has_material: bool = False
    earlier: str = ""
    aside: bool = False


def summarise(turns: Sequence[Turn]) -> ConversationSummary:
    """The last user turn; a short one is read together with the turns that it refers to."""
    if len(turns) == 1:
        only = turns[0]
        text = clipped(only.text) if _is_asking(only) else ""
        burden = _burden(0, 0, only.attachments, only.tool_calls)
        parts = split(text)
        aside = _is_aside(text, parts)
        return ConversationSummary(text, burden, parts.instruction, bool(parts.material), aside=aside)
    asked = [turn for turn in turns if _is_asking(turn)]
    if not asked:
        return ConversationSummary("", 0.0, "")
    text = clipped(asked[-1].text)
    for before in reversed(asked[:-1]):
        if len(text) > FOLLOW_UP_CHARS:
            break
        text = f"{clipped(before.text)}\n{text}"
    blocks = sum(turn.text.count("```") // 2 for turn in turns if turn.role in ("user", "assistant"))
    attachments = sum(turn.attachments for turn in asked)
    burden = _burden(len(asked) - 1, blocks, attachments, sum(turn.tool_calls for turn in turns))
    earlier = split(clipped(asked[-2].text)).instruction if len(asked) > 1 else ""
    last = clipped(asked[-1].text)
    parts = split(last)
    aside = _is_aside(last, parts)
    return ConversationSummary(clipped(text), burden, parts.instruction, bool(parts.material), earlier, aside)


def _is_aside(text: str, parts: Parts) -> bool:
    return bool(parts.material) and (is_long_prose(parts.material) or ("</" in text and bool(_HARNESS.search(text))))


def _is_asking(turn: Turn) -> bool:
    return turn.role == "user" and not is_of_harness(turn.text)


def is_of_harness(text: str) -> bool:
    """Tell whether a user's turn is nothing but blocks that an agent or editor added by itself."""
    return text.endswith(">") and _HARNESS_BLOCKS.fullmatch(text) is not None


def _burden(earlier: int, blocks: int, attachments: int, tool_calls: int) -> float:
    """Longer work is harder work. Set by hand and bounded: the recorded outcomes hold no conversations."""
    if not (earlier or blocks or attachments or tool_calls):
        return 0.0
    weight = 0.04 * min(earlier, 5) + 0.05 * min(blocks, 4) + 0.1 * min(attachments, 2) + 0.04 * min(tool_calls, 5)
    return min(weight, _LONGEST_BURDEN)
