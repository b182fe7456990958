"""What samples say around an answer: reasons, remarks in brackets, explanations below it. Pure."""

import re

_REASON = r"since|because|as|given|from|not|instead|rather|assuming|weil|da|car|parce|porque|perché|omdat|bo|так как"
_SIDE = re.compile(
    rf"\(|[,;]\s*(?:{_REASON}|which|where|so|and\s+not)\b|\s(?:since|because|weil|porque|perché)\s", re.I
)
_BRACKET = re.compile(r"\(([^()\n]{1,200})\)[\s.!*]*$")
_CALCULATES = re.compile(r"[\d)$€£%]\s*[-+*/×÷=]\s*[\d($€£]|\d\s+\w+\s+[-+*×]\s")
_EXPLAINS = re.compile(
    r"\s*(?:([^\n]{1,60})\n|([^\n.!]{1,60})[.!]\s)\s*[*_#>\s]{0,12}"
    r"(?:explanation|reasoning|justification|because|note|solution|here(?:'|’)?s (?:the|my|how|a)"
    r"|(?:this|that) is because|the reason is|let me explain"
    r"|erklärung|begründung|explication|explicación|explicação|spiegazione|uitleg"
    r"|wyjaśnienie|объяснение|пояснение|açıklama|解释|說明|説明|解析|解説"
    r"|설명|풀이|giải thích|penjelasan|التفسير|الشرح|स्पष्टीकरण|व्याख्या)",
    re.I,
)
DENIES = re.compile(r"\W*(?:not|nicht|pas|no es|não é|non è|niet|nie|не)\s", re.I)


def without_side_remark(answer: str) -> str:
    """Return what stands before a reason or a bracket; the answer as it is where nothing does."""
    match = _SIDE.search(answer)
    return answer[: match.start()].strip() if match and answer[: match.start()].strip(" *_$") else answer


def without_last_bracket(line: str) -> str:
    """Take away a bracket at the end of a line that gives a reason or a calculation."""
    match = _BRACKET.search(line)
    if match and (re.match(rf"(?:{_REASON})\b", match[1], re.I) or _CALCULATES.search(match[1])):
        return line[: match.start()]
    return line


def answer_before_explanation(text: str) -> str | None:
    """Return the first line or sentence of a text that goes on to explain it, None when the text does not."""
    match = _EXPLAINS.match(text[:400])
    return (match[1] or match[2]).strip() if match else None
