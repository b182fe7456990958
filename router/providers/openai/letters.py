"""Letters that a provider cut in two: halves of a pair, or bytes of one letter in two pieces of a stream. Pure.

What was read of broken text has surrogates in it: halves of an escaped pair as they came, and a byte that is no UTF-8
as U+DC80 to U+DCFF (Python's `surrogateescape`). No text with a surrogate in it leaves this package.
"""

import re

_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_CUT = re.compile("(?:[\ud800-\udbff]|[\udcc2-\udcf4][\udc80-\udcbf]{0,2})$")


def whole_letters(text: str) -> str:
    """Join the halves that stand together; what has no other half becomes the replacement character."""
    if _SURROGATE.search(text) is None:
        return text
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return _NO_BYTE.sub("\ufffd", text).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def split_cut(text: str) -> tuple[str, str]:
    """Return the text and the beginning of a letter at its end, whose rest may come with the next piece."""
    cut = _CUT.search(text)
    return (text, "") if cut is None else (text[: cut.start()], text[cut.start() :])


class LetterJoiner:
    """Joins the letters that are cut over the pieces of one text."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = ""

    def join(self, piece: str) -> str:
        """Return what is whole of the text so far; the beginning of a letter is held back."""
        ready, self.held = split_cut(self.held + piece)
        return whole_letters(ready)

    def end(self) -> str:
        """Return what was held back and stays half a letter."""
        held, self.held = self.held, ""
        return whole_letters(held)
