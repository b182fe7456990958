"""Sentences that answer "how many" with none: "No apples are left." Pure."""

import re

_WORD = re.compile(r"\w+")
_NONE_OF = re.compile(
    r"(?<!\w)(?:no|zero|kein\w*|aucun\w*|ningun\w*|ningún|nenhum\w*|nessun\w*|geen|żadn\w*|никаких|ни одно\w+)"
    r"\s+([^\W\d_]+)",
    re.IGNORECASE,
)
_MAY = re.compile(
    r"\b(?:can|could|may|might|given|known|kann|können|peut|puede\w*|pode\w*|può|possono|kan|może\w*)\b",
    re.IGNORECASE,
)


def counts_none(text: str, question: str) -> bool:
    """Tell whether a short text says that there are none of what the question counts, in the question's own noun."""
    if _MAY.search(text):
        return False
    asked = _WORD.findall(question[-2000:].casefold())
    counted = [match[1].casefold() for match in _NONE_OF.finditer(text)]
    return any(len(noun) > 3 and any(_is_same_noun(noun, word) for word in asked) for noun in counted)


def _is_same_noun(noun: str, word: str) -> bool:
    """Tell whether two words differ by their last two letters at most."""
    shorter, longer = sorted((noun, word), key=len)
    return len(longer) - len(shorter) <= 2 and longer.startswith(shorter[: max(3, len(shorter) - 1)])
