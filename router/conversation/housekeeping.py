"""Calls that a chat UI makes for itself: titles, tags, follow-up suggestions, search queries, completions of typing.

Nobody waits for these answers to be clever. Several independent signs are needed at once (what is wanted, of a
conversation, in a machine's format), so that a user who asks for the title of an essay is not taken for a UI.
The words are in housekeeping.toml.
"""

import re
import tomllib
from pathlib import Path

HEAD_CHARS = 1_200
TAIL_CHARS = 500
SHORT_CHARS = 400

_WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_SIGNS: dict[str, list[str]] = _WORDS["signs"]
_MAKE, _CONVERSATION, _FORMAT = (re.compile("|".join(_WORDS[key])) for key in ("make", "conversation", "format"))
_AUTOCOMPLETE = re.compile(r"\bauto-?complet(?:e|ion)\b[^\n]{0,60}(?:system|engine|assistant|text|sentence)")
_ENCLOSED_CHAT = re.compile(
    r"<(?:chat_history|conversation|chat|messages|dialogue|transcript)>|#{2,4} (?:chat|conversation) history"
    r"|\n(?:user|human|assistant|ai|model)\s*:"
)


def is_housekeeping(text: str) -> bool:
    """Tell whether a message or a system prompt is a chat UI's own errand."""
    clipped = text if len(text) <= HEAD_CHARS + TAIL_CHARS else f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"
    folded = clipped.casefold()
    signs = {sign for sign, pieces in _SIGNS.items() if any(map(folded.__contains__, pieces))}
    if not signs:
        return "complet" in folded and "json" in folded and _AUTOCOMPLETE.search(folded) is not None
    if not _FORMAT.search(folded) or not _MAKE.search(folded[:HEAD_CHARS]):
        return "facial expression" in folded and "emoji" in signs
    if signs == {"emoji"}:
        return "facial expression" in folded or (len(folded) < SHORT_CHARS and _CONVERSATION.search(folded) is not None)
    return (_CONVERSATION.search(folded) or _ENCLOSED_CHAT.search(folded)) is not None
