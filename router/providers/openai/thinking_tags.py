"""Thinking that a local model writes into its answer, between <think> and </think> at the very start.

Some templates write the opening tag into the prompt, so that only the closing one comes back: decision 18.
"""

import re
from enum import Enum, auto

LONE_CLOSING = "</think>"
CLOSINGS = {"<think>": "</think>", "<thinking>": "</thinking>"}


_LONE_CLOSING = re.compile(r"(?<!`)</think(?:ing)?>[ \t]*\n")


# Of models whose templates open the thinking in the prompt: DeepSeek R1, QwQ, and those that are called thinking.
_OPENS_IN_PROMPT = re.compile(r"(?i)(?:^|[-_/:.])(?:r1|qwq|thinking|reasoner)(?=$|[-_/:.])")


class _At(Enum):
    START = auto()
    THINKING = auto()
    AFTERWARDS = auto()  # the blank lines between thinking and answer belong to neither
    ANSWER = auto()


class ThinkingTags:
    """Takes one choice's content piece by piece and says which of it is thinking."""

    __slots__ = ("_at", "_closing", "_has_thought", "_held", "_opens_in_prompt", "_thoughts", "is_decided")

    def __init__(self, *, opens_in_prompt: bool = False) -> None:
        self._at = _At.START
        self._opens_in_prompt = opens_in_prompt
        self._thoughts: list[str] = []  # that nobody announced: without a closing tag they are the answer
        self._held = ""
        self._closing = ""
        self._has_thought = False
        self.is_decided = False  # all that follows is visible

    def split(self, content: str) -> tuple[str, str]:
        """Return (visible, thinking) as far as it is certain; the rest is held back."""
        if self.is_decided:
            return content, ""
        self._held += content
        if self._at is _At.START and not self._take_opening_tag():
            if self._may_open():
                return "", ""
            if not self._opens_in_prompt:
                return self._release(), ""
            self._at, self._closing = _At.THINKING, LONE_CLOSING
        thought = self._take_thinking() if self._at is _At.THINKING else ""
        if self._opens_in_prompt and self._at is _At.THINKING:
            self._thoughts.append(thought)
        if self._at is _At.AFTERWARDS:
            self._held = self._held.lstrip()
            if self._held:
                return self._release(), thought
        return "", thought

    def end(self) -> tuple[str, str]:
        """Return what is still held back at the end of the answer."""
        was, held = self._at, self._release()
        if was is _At.THINKING:
            return "".join([*self._thoughts, held]) if self._opens_in_prompt else "", held
        return held if was is _At.START else "", ""

    def _take_opening_tag(self) -> bool:
        """Take the opening tag off, if it is there."""
        text = self._held.lstrip()
        for tag, closing in CLOSINGS.items():
            if text.startswith(tag):
                self._at, self._closing, self._held = _At.THINKING, closing, text[len(tag) :]
                return True
        return False

    def _may_open(self) -> bool:
        """Tell whether what is held may yet become an opening tag."""
        text = self._held.lstrip()
        return any(tag.startswith(text) for tag in CLOSINGS)

    def _take_thinking(self) -> str:
        """Take the thinking out of what is held, up to the closing tag or what may become one."""
        if not self._has_thought:
            self._held = self._held.lstrip("\n")
        thought, tag, rest = self._held.partition(self._closing)
        if tag:
            self._held, self._at = rest, _At.AFTERWARDS
        else:
            kept = next((n for n in range(len(self._closing) - 1, 0, -1) if thought.endswith(self._closing[:n])), 0)
            split = len(thought) - kept
            thought, self._held = thought[:split], thought[split:]
        self._has_thought = self._has_thought or bool(thought)
        return thought

    def _release(self) -> str:
        """Give out all that is held, as the answer that it must be."""
        held, self._held, self._at, self.is_decided = self._held, "", _At.ANSWER, True
        return held


def often_opens_in_prompt(model: str) -> bool:
    """Guess by its name whether a model thinks without an opening tag, until a first answer tells."""
    return _OPENS_IN_PROMPT.search(model) is not None


def split_thinking(content: str) -> tuple[str, str]:
    """Return (visible, thinking) of a whole answer, also of one with nothing but the closing tag.

    A lone closing tag counts where a line ends with it, outside of quoted code, and an answer follows.
    """
    if "<think" not in content and "</think" not in content:  # as in nearly every answer: it is all visible
        return content, ""
    tags = ThinkingTags()
    parts = [tags.split(content), tags.end()]
    visible, thought = ("".join(part) for part in zip(*parts, strict=True))
    if thought or (lone := _LONE_CLOSING.search(visible)) is None:
        return visible, thought
    before, after = visible[: lone.start()], visible[lone.end() :].lstrip()
    is_quoted = before.count("```") % 2 == 1 or "<think" in before
    return (visible, "") if is_quoted or not after else (after, before.strip("\n"))
