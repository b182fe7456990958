"""What the classifier reads of a conversation: the question, its context, and a bounded burden for the rest.

System and developer messages are not read: what an operator or a client writes there must not choose a tier.
"""

from collections.abc import Sequence
from typing import NamedTuple

from classifier.features import clipped
from classifier.types import Turn

FOLLOW_UP_CHARS = 160
_LONGEST_BURDEN = 0.6  # of a logit


class ConversationSummary(NamedTuple):
    """The text to be judged, and how much the rest of the conversation is taken off both tiers' logits."""

    text: str
    burden: float


def summarise(turns: Sequence[Turn]) -> ConversationSummary:
    """The last user turn; a short one is read together with the turns that it refers to."""
    if len(turns) == 1:
        only = turns[0]
        return ConversationSummary(
            clipped(only.text) if _is_asking(only) else "", _burden(0, 0, only.attachments, only.tool_calls)
        )
    asked = [turn for turn in turns if _is_asking(turn)]
    if not asked:
        return ConversationSummary("", 0.0)
    text = clipped(asked[-1].text)
    for earlier in reversed(asked[:-1]):
        if len(text) > FOLLOW_UP_CHARS:
            break
        text = f"{clipped(earlier.text)}\n{text}"
    blocks = sum(turn.text.count("```") // 2 for turn in turns if turn.role in ("user", "assistant"))
    attachments = sum(turn.attachments for turn in asked)
    return ConversationSummary(
        clipped(text), _burden(len(asked) - 1, blocks, attachments, sum(turn.tool_calls for turn in turns))
    )


def _is_asking(turn: Turn) -> bool:
    return turn.role == "user"


def _burden(earlier: int, blocks: int, attachments: int, tool_calls: int) -> float:
    """Longer work is harder work. Set by hand and bounded: the recorded outcomes hold no conversations."""
    if not (earlier or blocks or attachments or tool_calls):
        return 0.0
    weight = 0.04 * min(earlier, 5) + 0.05 * min(blocks, 4) + 0.1 * min(attachments, 2) + 0.04 * min(tool_calls, 5)
    return min(weight, _LONGEST_BURDEN)
