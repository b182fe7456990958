"""Names and short phrases in a spelling that all ways to write them share. Pure."""

import re
import unicodedata

_TITLE = re.compile(
    r"^(?:(?:dr|prof|professor|sir|dame|lord|lady|rev|reverend|hon|president|präsident|président|presidente|prezydent|doctor"
    r"|doktor|docteur|captain|capt|gen|general|colonel|col|sgt|mr|herr|monsieur|m|sr|señor|don|senhor|signor|signore|pan"
    r"|the honou?rable|his excellency|general-secretary|chancellor|prime minister|king(?=\s\w+\s[ivx]+$))\.?\s+)+(?=\w)"
)
_LEAD = re.compile(
    r"^(?:it is|it's|it was|this is|this was|that is|that's|they are|they were|he is|he was|she is|she was|c'est"
    r"|ce sont|es ist|das ist|es war|het is|dit is|to jest|это)\s+(?=\S+)(?!\s)"
)
_PLACE = re.compile(r"^(?:in|at|by|from|von|aus|dans|en|par|em|por|da|di|w|przez|в|door|uit)\s+(?=\S{3})")
_ARTICLE = re.compile(
    r"^(?:the|a|an|der|die|das|den|dem|ein|eine|le|la|les|un|une|el|los|las|una|il|lo|gli|het|een|os|as|um|uma|bir|al)\s+"
    r"(?=\w)|^(?:l|d|un|dell|all)['’ ](?=\w)"
)
_COPULA = re.compile(
    r"(?:です|である|だ|でした|となります|になります|입니다|이다|이에요|예요|이었다|이었습니다)[。.]?$|\s(?:है|हैं|था|थे|थी|होगा|होगी)[।.]?$"
    r"|['’]?(?<=.)(?<=['’])(?:dir|dır|dur|dür|tir|tır)\.?$"
)
_SAINT = re.compile(r"\b(?:saint|st)\b")
_INITIALS = re.compile(r"\b([^\W\d_]) (?=[^\W\d_] )")


def name_key(text: str, *, is_name: bool = False) -> str:
    """Return a name without case, marks, articles, titles and lead-ins; a person's "Last, First" is turned around."""
    text = without_copula(text)
    if is_name and text.count(",") == 1:
        last, first = (part.strip() for part in text.split(","))
        if first and last and len(first.split()) <= 3 and len(last.split()) <= 3 and not first[:1].islower():
            text = (
                f"{first} {last}"
                if first.rstrip(".").casefold() not in ("jr", "sr", "ii", "iii")
                else f"{last} {first}"
            )
    folded = text.casefold().strip().translate(_APOSTROPHES)
    folded = _LEAD.sub("", folded)
    if len(folded.split()) <= 5:
        folded = _PLACE.sub("", folded)
    folded = _ARTICLE.sub("", folded, count=1)
    folded = _TITLE.sub("", folded, count=1)
    if not folded.isascii():
        folded = unicodedata.normalize("NFKD", folded)
        folded = unicodedata.normalize(
            "NFC", "".join(c for c in folded if not unicodedata.combining(c) or c > "\u0590")
        )
    folded = re.sub(r"(?<=[^\W\d_])'(?=[^\W\d_])", "", folded)
    folded = re.sub(r"(?<=[^\W\d_])[-.](?=[^\W\d_])|(?<=[^\W\d_])\.(?=\s)", " ", folded)
    folded = re.sub(r"[^\w\s+#%/&.-]|_", " ", folded) if not _MARKED.search(folded) else folded
    folded = " ".join(folded.split()).strip(" .-")
    if " " in folded:
        folded = _INITIALS.sub(r"\1", f"{folded} ").strip()
        folded = _SAINT.sub("st", folded)
    return folded


def without_copula(text: str) -> str:
    """Take the verb off the end, where a language puts it there."""
    return text if text.isascii() and "'" not in text else _COPULA.sub("", text.strip())


_APOSTROPHES = str.maketrans("’‘ʼ`ı", "''''i")
_MARKED = re.compile("[\u0900-\u0dff\u0e00-\u0eff]")  # scripts whose vowel signs are no word characters
