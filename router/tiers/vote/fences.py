"""Blocks between fences of three backticks, found in one pass. Pure."""

FENCE = "```"


def inner_blocks(text: str) -> list[str]:
    """Return what stands between pairs of fences, with its language."""
    parts = text.split(FENCE)
    return parts[1 : len(parts) - (len(parts) % 2 == 0) : 2]


def blocks(text: str) -> list[tuple[str, str]]:
    """Return (language, source) of the blocks that begin on a line of their own; the last one may be open."""
    found, at = [], 0
    while (start := text.find(FENCE, at)) >= 0:
        line_end = text.find("\n", start)
        if line_end < 0:
            break
        end = text.find(FENCE, line_end + 1)
        end = len(text) if end < 0 else end
        words = text[start + len(FENCE) : line_end].split(maxsplit=1)
        found.append((_language(words[0]) if words else "", text[line_end + 1 : end]))
        at = end + len(FENCE)
    return found


def _language(word: str) -> str:
    length = next((n for n, sign in enumerate(word) if not (sign.isalnum() or sign in "_+#.-")), len(word))
    return word[:length].casefold()
