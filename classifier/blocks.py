"""The blocks of a message by their form: pasted (fences, tags, code, tables, logs), lists, verse, prose.

Only marks are read here, no words; what prose is about is not decided here.
"""

import re
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from classifier.hearing import QUESTION_LABEL


class Form(IntEnum):
    """What the marks of a block say it is. Everything above VERSE is material by its form alone."""

    PROSE = 0
    ITEMS = 1  # may be what is asked for, one by one, or what is to be sorted
    VERSE = 2
    PASTED = 3
    LABELLED = 4  # with a heading such as "Context:", so that the paragraphs after it belong to it


class Block(NamedTuple):
    form: Form
    text: str


_OPENER = re.compile(r"```|~~~|\"\"\"|<([^\W\d_][\w.:-]{0,40})(?: [^<>\n]{0,200})?>|^[\"“„«「『]", re.MULTILINE)
CLOSERS = {'"': '"', "“": "”", "„": "“", "«": "»", "「": "」", "『": "』"}
_OPENER_SIGNS = ("```", "~~~", '"""', "</", *(f"\n{sign}" for sign in CLOSERS))
_SAID_TAGS = frozenset(
    {"task", "question", "query", "user_query", "user_message", "user_request"}
    | {"instruction", "instructions", "request", "prompt", "feedback"}
)
INLINE = 40  # characters within a tag or a quote that may be part of a sentence
_GAP = re.compile(r"\n[ \t]*(?:[-=*_#~]{3,}[ \t]*)?\n")

_BEGINNING = re.compile(  # of a line that is not indented
    r"""
    (?P<alone>
        >\s?\S | diff\ --git | @@\ | [\[{]\s?["{]\S*\s?: | Traceback\ \( | \#!/ | \#include | FAILURE: | BUILD\ FAILED
      | \d{1,2}(?:\.\d{1,2})+\ +[^\W\d]
      | (?:Art\.|§§?|Clause|Section|Artikel|Artículo|Artigo|Articolo|Статья|Điều|Pasal|Madde)\s?\d+
    )
  | (?P<strong>
        (?:\+\+\+|---)\ \S
      | \[?\d{4}[-/]\d\d[-/]\d\d[T ]\[?\d\d: | \[?\d\d:\d\d:\d\d\b | \w{3,4}\ +\d\d?\ \d\d:\d\d:\d\d
      | (?:ERROR|WARN|WARNING|INFO|DEBUG|FATAL|TRACE)\b | npm\ ERR! | (?:fatal|panic|error|warning|make)(?:\[\w+\])?:\s
      | (?:From|To|Cc|Subject|Sent|Date|Von|An|Betreff|Gesendet|De|À|Objet|Envoyé|Para|Asunto|Assunto|Da|A
          |Oggetto|Aan|Van|Onderwerp|Od|Do|Temat|От|Кому|Тема|Kimden|Kime|Konu
          |发件人|收件人|主题|差出人|宛先|件名|보낸사람|받는사람|제목)[:：]\ ?\S
      | def\ \w+\( | class\ \w+\s?[(:{] | from\ [\w.]+\ import\s | (?:if|for|while|switch|catch)\s?\(
      | (?:const|let|var)\ \w+\ =
      | (?:async\ )?(?:function|func|fn|fun|sub)\s?\w*\( | <\?php | //\ ? | /\* | ["'][\w-]+["']\s*:
      | (?:SELECT|FROM|WHERE|GROUP\ BY|ORDER\ BY|HAVING|(?:LEFT|RIGHT|INNER|CROSS)?\ ?JOIN|LIMIT|INSERT\ INTO
          |UPDATE|DELETE\ FROM|CREATE|ALTER|WITH|VALUES|RUN|COPY|CMD|ENTRYPOINT)\b
      | [\w.]{1,60}(?:Error|Exception)(?::\s|\s*$) | [^\s:]{1,80}:\d+(?::\d+)?:\s
    )
  | (?P<weak>
        -\ [\w-]+:\ | \#\ \S | @\w+ | \$\ \w | [\w.\[\]'"]{1,60}\ ?(?:[-+*/|&]?=|:=)\ ?\S
    )
    """,
    re.VERBOSE,
)
_WHOLE = re.compile(  # a short line that ends otherwise than sentences do
    r"""
    (?P<strong>
        (?:import|package)\ [\w.{*("]+(?:\ from\ \S+|\ as\ \w+)?;?$
      | (?:if|elif|while|for|with|except)\b.*:$ | (?:else|try|finally):$
      | (?:public|private|protected|static|export|type|struct|namespace|using)\ [\w<>\[\]]+[^.?!]*$
    )
  | (?P<weak>
        [\w.]+\(.*\)$ | [\[{()}\]]+[;,]*$ | \[[\w. -]+\]$ | [\w-]+:(?:\ ["'\w./-]+)?$ | </?\w[^<>]*>$
    )
    """,
    re.VERBOSE,
)
_LOG = re.compile(
    r"\[?\d{4}[-/]\d\d[-/]\d\d[T ]|\[?\d\d:\d\d:\d\d\b|\w{3,4} +\d\d? \d\d:\d\d"
    r"|(?:ERROR|WARN|WARNING|INFO|DEBUG|FATAL|TRACE)\b"
    r"|Traceback|\s+at [\w.$<>]+\(|\s+File \"|[\w.]{1,60}(?:Error|Exception)\b|[^\s:]{1,80}:\d+(?::\d+)?:\s|npm ERR!"
)
_LATEX = re.compile(r"\\(?:[a-zA-Z]{3,}|[\[\](){}\\])")
_WEIGHTS = {"alone": 3, "strong": 2, "weak": 1}
_SENTENCE_ENDS = frozenset(".?!…。？！")
_CODE_WORDS_BEGIN = frozenset("ip")
_ENOUGH = 3
_EDGE = 10  # lines
_ITEM = re.compile(r"\s*(?:[-*•+–·]|\(?\d{1,2}[.):]|\d{1,2}\ (?=\S))\s*\S")
_SPEAKER = re.compile(r"([^\W\d_][\w .'-]{0,30}?)(?: ?\([^()\n]{0,30}\))?\s?[:：]\s?\S")
_LABEL = re.compile(
    r"\[[^\]\n]{0,30}\d\] \S|\[[^\]\n]{4,80}\]\s*$"
    r"|(?:context|passage|document|source|abstract|version|excerpt|snippet|chunk"
    r"|extrait|auszug|kontext|fragmento|trecho|estratto|фрагмент|контекст|上下文|資料|资料|문서)\s?#?\d+\b"
    r"|(?:\#+ |\*\*|\[)?(?:(?:the |additional |retrieved |background )?(?:context|passages?|documents?|sources?"
    r"|excerpts?|articles?|text|notes|(?:e-?)?mail|message|transcript|code|data|search results|knowledge base|input"
    r"|price list|letter|review|chat|ticket)(?: information)?(?: is below| below)?"
    r"|kontext|contexte|contexto|contesto|kontekst|контекст|bağlam|السياق|संदर्भ|konteks"
    r"|上下文|背景|資料|资料|参考|原文|本文|지문|문맥)\]?(?:\*\*)?[ ]?[:：.]?(?:\*\*)?\s*$",
    re.IGNORECASE,
)
_TITLE = re.compile(r"(?:[A-ZÄÖÜÀ-Ý0-9'’&()–-]+[ :,]+){2,}[A-ZÄÖÜÀ-Ý'’()]{2,}[^a-z\n]{0,60}")


def blocks_of(text: str) -> Iterator[Block]:
    """Delimited material as it stands, and the paragraphs of the rest by their form."""
    if text[:1] not in CLOSERS and not any(map(text.__contains__, _OPENER_SIGNS)):
        yield from _paragraphs(text)
        return
    unclosed: set[str] = set()
    start = 0  # of what has not been yielded yet
    at = 0
    while opener := _OPENER.search(text, at):
        at = opener.end()
        sign = opener[0]
        name = opener[1]
        closer = f"</{name}>" if name is not None else CLOSERS.get(sign, sign)
        if closer in unclosed:
            continue
        end = text.find(closer, at)
        if end < 0:
            unclosed.add(closer)
            if sign != "```":
                continue
            end = len(text)
        inner, after = text[at:end], end + len(closer)
        if name is not None and name.lower() in _SAID_TAGS:
            yield from _paragraphs(text[start : opener.start()])
            text = f"{text[:end]}\n\n{text[after:]}"
            start = at
            continue
        if _is_sentence_part(sign, inner, text[after : after + 2]):
            continue
        yield from _paragraphs(text[start : opener.start()])
        yield Block(Form.PASTED, text[opener.start() : after])
        start = at = after
    yield from _paragraphs(text[start:])


def _is_sentence_part(sign: str, inner: str, after: str) -> bool:
    """Whether a quote or a tag belongs to the sentence around it."""
    if sign in CLOSERS:
        return len(inner) < INLINE // (1 if inner.isascii() else 2) or after.strip(".,;")[:1] not in ("", "\n")
    return sign[0] == "<" and "\n" not in inner and len(inner) < INLINE and not ("-" in sign or "_" in sign)


def _paragraphs(text: str) -> Iterator[Block]:
    for paragraph in _GAP.split(text):
        if not paragraph or paragraph.isspace():
            continue
        if "\n" in paragraph:
            yield from _runs(paragraph.strip("\n"))
        elif _is_label(paragraph):
            yield Block(Form.LABELLED, paragraph)
        elif _weigh(paragraph) >= _ENOUGH:
            yield Block(Form.PASTED, paragraph)
        else:
            yield Block(Form.PROSE, paragraph)


def marks_of(line: str) -> str:
    """What one line is by its marks: log, table, code, or empty."""
    if _LOG.match(line):
        return "log"
    if "\t" in line.strip() or line.count("|") > 1:
        return "table"
    return "code" if _weigh(line) else ""


def _is_label(line: str) -> bool:
    """Whether a line names what follows it: "Context:", "[2] handbook.pdf", a title in capitals."""
    if len(line) < 100:
        return bool(_LABEL.match(line) or (line[:2].isupper() and _TITLE.fullmatch(line)))
    return not line[:14].replace(" ", "").isalpha() and bool(_LABEL.match(line))


def _weigh(line: str) -> int:
    """How much a line looks like code, a table, a log, a mail's head or another thing nobody says."""
    if "\\" in line and _LATEX.search(line):
        return 0
    last = line[-1:]
    if last in "{}" or (last == ";" and ("(" in line or "=" in line)):
        return 2 if last else 0
    if line[0] in " \t":
        start = line.lstrip()
        if start[:1] == ">":
            return 3
        if len(line) - len(start) > 1 or line[0] == "\t":
            return 2 if last in ":,([" or start.startswith(("at ", 'File "', "|")) else 1
        line = start
    if "\t" in line:
        return 2
    if "|" in line and (line[0] == "|" or line.count(" | ") > 1):
        return 2
    length = len(line)
    if length > 59 and line.isascii() and " " not in line:
        return 3
    if last in _SENTENCE_ENDS and line[:12].replace(" ", "").isalpha():
        return 0
    if found := _BEGINNING.match(line, 0, 200):
        return _WEIGHTS[found.lastgroup or ""]
    if (
        length < 120
        and (last not in _SENTENCE_ENDS or line[0] in _CODE_WORDS_BEGIN)
        and (found := _WHOLE.match(line.rstrip()))
    ):
        return _WEIGHTS[found.lastgroup or ""]
    return 1 if "   " in line and last != " " else 0


def _weights_of(lines: list[str]) -> list[int]:
    """The weights of lines; within many, what lies between two heavy ends is taken to be heavy unread."""
    if len(lines) < 4 * _EDGE:
        return list(map(_weigh, lines))
    first, last = list(map(_weigh, lines[:_EDGE])), list(map(_weigh, lines[-_EDGE:]))
    if min(sum(first), sum(last)) >= _EDGE and first[-1] and last[0]:
        return [*first, *[1] * (len(lines) - 2 * _EDGE), *last]
    return list(map(_weigh, lines))


def _runs(paragraph: str) -> Iterator[Block]:
    """The parts of one paragraph of several lines: what is pasted, lists, and the rest."""
    lines = paragraph.split("\n")
    if _is_label(lines[0]) or _is_transcript(lines) or _is_diff(lines):
        yield from _label_and_question(lines)
        return
    weights = _weights_of(lines)
    if len(lines) > 2 and sum(weights) < _ENOUGH:
        weights = _weigh_separated(lines) or weights
    spans = list(_heavy_spans(weights))
    start = 0
    for first, last in spans:
        if first > start:
            yield from items_of(lines[start:first])
        yield Block(Form.PASTED, "\n".join(lines[first:last]))
        start = last
    if start < len(lines):
        yield from items_of(lines[start:])


def _heavy_spans(weights: list[int]) -> Iterator[tuple[int, int]]:
    """Stretches of telling lines, with at most two others between them, that together weigh enough."""
    first, last, weight = -1, -1, 0
    for at, worth in enumerate(weights):
        if not worth:
            continue
        if first >= 0 and at - last > 3:
            if weight >= _ENOUGH:
                yield first, last + 1
            first, weight = -1, 0
        if first < 0:
            first = at
        last = at
        weight += worth
    if weight >= _ENOUGH:
        yield first, last + 1


def _weigh_separated(lines: list[str]) -> list[int] | None:
    """Weights where the last lines have as many commas or semicolons each, as rows of values have."""
    for separator, prose in ((",", ", "), (";", ";;")):
        count = lines[-1].count(separator)
        if count > 1 and not any(prose in line for line in lines[1:]):
            same = [line.count(separator) == count for line in lines]
            if sum(same) >= _ENOUGH and all(same[-3:]):
                return [2 * one for one in same]
    return None


def _is_transcript(lines: list[str]) -> bool:
    """Whether speakers take turns; at most the first line is said by nobody."""
    if len(lines) < 3:
        return False
    speakers = [found[1] for line in lines[:12] if (found := _SPEAKER.match(line))]
    return len(speakers) > 2 and len(set(speakers)) < len(speakers) and len(speakers) >= min(len(lines), 12) - 1


def _is_diff(lines: list[str]) -> bool:
    return any(line.startswith("+ ") for line in lines) and any(line.startswith("- ") for line in lines)


def _label_and_question(lines: list[str]) -> Iterator[Block]:
    first = next((at for at, line in enumerate(lines) if at and QUESTION_LABEL.match(line)), len(lines))
    start = 0
    if not _LABEL.match(lines[0]) and not _SPEAKER.match(lines[0]) and not _ITEM.match(lines[0]):
        yield Block(Form.PROSE, lines[0])
        start = 1
    yield Block(Form.LABELLED if _LABEL.match(lines[0]) else Form.PASTED, "\n".join(lines[start:first]))
    if first < len(lines):
        yield Block(Form.PROSE, "\n".join(lines[first:]))


def items_of(lines: list[str]) -> Iterator[Block]:
    """Lines without marks of pasted text: a list with what stands before and after it, verse, or prose."""
    items = [at for at, line in enumerate(lines) if _ITEM.match(line)]
    if len(items) > 1:
        first, last = items[0], items[-1] + 1
        if first:
            yield Block(Form.PROSE, "\n".join(lines[:first]))
        yield Block(Form.ITEMS, "\n".join(lines[first:last]))
        if last < len(lines):
            yield Block(Form.PROSE, "\n".join(lines[last:]))
        return
    text = "\n".join(lines)
    if not text.isspace():
        yield Block(Form.VERSE if len(lines) > 2 and max(map(len, lines)) < 64 else Form.PROSE, text)
