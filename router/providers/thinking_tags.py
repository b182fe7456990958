"""Thinking that a local model writes into its answer, between <think> and </think> at the very start."""

OPENINGS = ("<think>", "<thinking>")
CLOSINGS = {"<think>": "</think>", "<thinking>": "</thinking>"}
LONGEST_OPENING = max(map(len, OPENINGS))


class ThinkingTags:
    """Takes one choice's content piece by piece and says which of it is thinking."""

    __slots__ = ("_closing", "_held", "_is_after_closing", "is_decided")

    def __init__(self) -> None:
        self._held = ""
        self._closing: str | None = None
        self._is_after_closing = False
        self.is_decided = False  # all that follows is visible text

    def split(self, content: str) -> tuple[str, str]:
        """Return (visible, thinking) as far as it is certain; the rest is held back."""
        if self.is_decided:
            return content, ""
        self._held += content
        if self._is_after_closing:
            return self._visible()
        if self._closing is None:
            text = self._held.lstrip()
            self._closing = next((CLOSINGS[tag] for tag in OPENINGS if text.startswith(tag)), None)
            if self._closing is None:
                if any(tag.startswith(text) for tag in OPENINGS):
                    return "", ""
                return self._visible(strip=False)
            self._held = text[text.index(">") + 1 :].lstrip("\n")
        return self._thought(self._closing)

    def end(self) -> tuple[str, str]:
        """Return what is still held back at the end of the answer."""
        held, self._held, self.is_decided = self._held, "", True
        return ("", held) if self._closing and not self._is_after_closing else (held, "")

    def _thought(self, closing: str) -> tuple[str, str]:
        thought, found, rest = self._held.partition(closing)
        if found:
            self._held, self._is_after_closing = rest, True
            visible, _ = self._visible()
            return visible, thought
        keep = next((n for n in range(len(closing) - 1, 0, -1) if self._held.endswith(closing[:n])), 0)
        split = len(self._held) - keep
        thought, self._held = self._held[:split], self._held[split:]
        return "", thought

    def _visible(self, *, strip: bool = True) -> tuple[str, str]:
        """Give out the visible text; the blank lines after the closing tag belong to neither."""
        held = self._held.lstrip() if strip else self._held
        if not held:
            return "", ""
        self._held, self.is_decided = "", True
        return held, ""
