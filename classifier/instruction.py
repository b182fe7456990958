"""Tells the instruction of a message from the material it works on: pasted mails, articles, code, tables, logs.

Everything a person says to the assistant is instruction, the facts of their own problem too. Marks of form and a few
words are read; nothing is learned and nothing is weighed. When in doubt, a text is instruction.
"""

import re
from enum import IntEnum
from typing import NamedTuple

from classifier.blocks import CLOSERS, INLINE, Block, Form, blocks_of, items_of, marks_of
from classifier.hearing import (
    ADDRESS,
    AHEAD,
    EDITING,
    FAREWELL,
    GREETING,
    LONGEST_REQUEST,
    POINTING,
    RECKONING,
    WORKING,
    Hearing,
    words_of,
)

HEAD_CHARS, TAIL_CHARS = 6000, 3000
LONG_TALE = 1_500  # characters of a text that no question reckons with from end to end
_MOSTLY = 0.92  # of the characters


class Parts(NamedTuple):
    """What is wanted, and what it is wanted of; each is the parts of its kind joined by newlines."""

    instruction: str
    material: str


class MaterialKind(IntEnum):
    """What most lines of a material are."""

    NONE = 0
    PROSE = 1
    CODE = 2
    TABLE = 3
    LOG = 4


_MARKS = '\n"“”„«「『《<`:：'
_SHORT = 400  # characters; a longer text is looked at even when it has no mark
_OPTION = re.compile(r"^\(?[A-Ja-j][.):](?= ?\S)", re.MULTILINE)


def split(text: str) -> Parts:
    """Part the instruction of a message from its material; the instruction is empty only where the text is blank."""
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if text.isupper():  # who shouts says the same, and capitals are no titles then
        text = text.lower()
    if len(text) <= _SHORT and not any(map(text.__contains__, _MARKS)):
        return Parts(text, "")
    if "[asy]" in text or (("\nC" in text or "\nc" in text) and len(set(_OPTION.findall(text))) > 3):
        return Parts(text, "")  # an exam question with its figure or its options
    blocks = list(blocks_of(text)) if len(text) <= HEAD_CHARS + TAIL_CHARS else _blocks_of_ends(text)
    if not blocks:
        return Parts(text, "")
    said, pasted = _sift(blocks)
    instruction = "\n".join(said)
    if not pasted or not instruction.strip():
        return Parts(text, "")
    return Parts(instruction, "\n".join(pasted))


def material_kind(material: str) -> MaterialKind:
    """What most of the first lines of a material are; prose where no kind has half of them."""
    lines = [line for line in material[:2000].split("\n") if line.strip()]
    if not lines:
        return MaterialKind.NONE
    marks = [marks_of(line) for line in lines]
    for kind in (MaterialKind.LOG, MaterialKind.TABLE, MaterialKind.CODE):
        if 2 * marks.count(kind.name.lower()) >= len(lines):
            return kind
    return MaterialKind.PROSE


def is_long_prose(material: str) -> bool:
    """Tell whether a material is a long text in sentences: words, and neither code nor figures to work with."""
    if len(material) < LONG_TALE:
        return False
    head = material[:2000]
    return sum(map(str.isalpha, head)) + head.count(" ") >= _MOSTLY * len(head) and (
        material_kind(material) is MaterialKind.PROSE
    )


def _blocks_of_ends(text: str) -> list[Block]:
    """The blocks of a long text's head and tail; what lies between them is pasted."""
    head, middle, tail = text[:HEAD_CHARS], text[HEAD_CHARS:-TAIL_CHARS], text[-TAIL_CHARS:]
    if head.count("```") % 2:
        closed = tail.find("```")
        middle, tail = middle + tail[: closed + 3], tail[closed + 3 :]
    first, last = list(blocks_of(head)), list(blocks_of(tail))
    if len(first) > 1 and first[-1].form < Form.PASTED:
        middle = first.pop().text + middle
    if len(last) > 1 and last[0].form < Form.PASTED:
        middle += last.pop(0).text
    return [*first, Block(Form.PASTED, middle), *last]


def _sift(blocks: list[Block]) -> tuple[list[str], list[str]]:
    """What is said and what is pasted, each in the order of the text."""
    blocks = _open_first(blocks)
    if any(form < Form.PASTED for form, _ in blocks[1:]):
        blocks = _judge(_close_letters(blocks))
    said: list[str] = []
    pasted: list[str] = []
    for form, text in blocks:
        if form >= Form.PASTED:
            pasted.append(text)
        else:
            _unquote(text, said, pasted)
    return said, pasted


_COLON = re.compile(r"[:：](?=\s)|：")
_HEADER = re.compile(
    r"(?:From|Subject|Von|Betreff|De|Objet|Asunto|Assunto|Da|Oggetto|Van|Onderwerp|Od"
    r"|Temat|От|Тема|Konu|件名|主题|差出人|发件人)[:：]"
)
_NUMBER = re.compile(r"\d+")
_LONGEST_LEAD = 400
_QUOTE_SIGN = re.compile('["“„«「『`]')
_QUOTE = re.compile(
    r"\"[^\"\n]*\"|“[^“”\n]*”|„[^„“”\n]*[“”]|«[^«»\n]*»|「[^「」\n]*」|『[^『』\n]*』|`[^`\n]*`",
)


def _open_first(blocks: list[Block]) -> list[Block]:
    """Part a first block that leads in and goes on with the material in the same paragraph or line."""
    form, text = blocks[0]
    if form >= Form.PASTED:
        return blocks
    is_followed = len(blocks) > 1 and blocks[1].form >= Form.PASTED
    for colon in () if is_followed else _COLON.finditer(text, 0, _LONGEST_LEAD):
        rest = text[colon.end() :]
        if rest.strip() and rest.lstrip()[0] not in CLOSERS and _leads_to_material(text[: colon.end()]):
            return [
                Block(Form.PROSE, text[: colon.end()]),
                Block(Form.PASTED if len(blocks) == 1 else form, rest),
                *blocks[1:],
            ]
    line, newline, rest = text.partition("\n")
    if newline and line.count('"') % 2 == 0 and (len(line) < 90 or Hearing(line).wants_a_text):
        return [Block(Form.PROSE, line), *items_of(rest.split("\n")), *blocks[1:]]
    return blocks


def _leads_to_material(lead: str) -> bool:
    heard = Hearing(lead)
    return heard.meets(EDITING) or (
        heard.meets(WORKING)
        and (any(map(WORKING.have, heard.words[:1])) or heard.refers or heard.meets(AHEAD) or heard.meets(POINTING))
    )


def _close_letters(blocks: list[Block]) -> list[Block]:
    """Mark a letter from its greeting or head to its farewell, or to the end where it has none."""
    start = next((at for at, block in enumerate(blocks) if _begins_letter(block, at)), -1)
    if start < 0:
        return blocks
    ends = [at for at in range(start, len(blocks)) if _takes_leave(blocks[at].text, at > start)]
    if ends:
        end = (ends[-1] if start else ends[0]) + 1
        if end < len(blocks) and len(blocks[end].text) < 40 and not Hearing(blocks[end].text).asks:
            end += 1
    elif start:
        end = len(blocks)
        if end - start > 1 and Hearing(blocks[-1].text).wants_a_text:
            end -= 1
    else:
        end = len(blocks) - 1
        if not end or not Hearing(blocks[-1].text).wants_a_text:
            return blocks
    if not start and end == len(blocks):
        return blocks
    while start and end < len(blocks) and blocks[end].form < Form.PASTED:
        words = Hearing(blocks[end].text)
        if words.is_own or words.is_request:
            break
        end += 1
    letter = [Block(Form.PASTED, text) for _, text in blocks[start:end]]
    signature = [
        Block(Form.PASTED, text) if text.startswith(("--\n", "-- \n")) else Block(form, text)
        for form, text in blocks[end:]
    ]
    return [*blocks[:start], *letter, *signature]


def _begins_letter(block: Block, at: int) -> bool:
    if block.form >= Form.PASTED:
        return bool(_HEADER.match(block.text.lstrip()))
    line = block.text[:62]
    if "\n" in line:
        line = line[: line.index("\n")]
    elif len(line) > 61:
        return False
    line = line.strip()
    first = line.partition(" ")[0].rstrip(",!:;").lower()
    if not GREETING.have(first) or len(words := words_of(line)) > 7:
        return False
    return line[-1] in ",!:;，،：" or (at > 0 and len(words) < 5)


def _takes_leave(text: str, is_apart: bool) -> bool:
    """Whether one of the last lines is a short one with a word of farewell at its beginning."""
    lines = text[-250:].strip().split("\n")
    for line in lines[0 if is_apart else 1 :][-4:]:
        if len(line) < 50:
            words = words_of(line)
            if 0 < len(words) < 7 and (FAREWELL.have(words[0]) or (len(words) > 1 and FAREWELL.have(words[1]))):
                return True
    return False


def _judge(blocks: list[Block]) -> list[Block]:
    """Tell paragraphs that are worked on from those that say what to do."""
    heard = {at: Hearing(text) for at, (form, text) in enumerate(blocks) if form < Form.PASTED}
    if not heard:
        return blocks
    last = len(blocks) - 1
    ends = [at for at in (0, last) if at in heard and len(blocks[at].text) <= LONGEST_REQUEST]
    if 0 in ends and heard[0].wants_a_text:
        material = _material_after_request(blocks, heard)
    elif last in ends and heard[last].wants_a_text:
        material = {
            at
            for at in heard
            if at < last
            and not _is_said(blocks, heard, at)
            and not (
                heard[at].meets(ADDRESS) and not heard[last].refers and not (0 in ends and _is_said(blocks, heard, 0))
            )
        }
    else:
        material = _foreign_to(ends, blocks, heard)
    if len(heard) < len(blocks):
        material |= _material_beside_marks(blocks, heard)
    if len(material) == len(heard):
        return blocks
    return [Block(Form.PASTED, text) if at in material else Block(form, text) for at, (form, text) in enumerate(blocks)]


def _material_after_request(blocks: list[Block], heard: dict[int, Hearing]) -> set[int]:
    """After a request that takes a text: all to the last requests, but what is said behind a pasted part."""
    end = _requests_at_end(blocks, heard)
    behind = max((at for at in range(len(blocks)) if at not in heard), default=0) + 1
    while behind in heard and blocks[behind].form is not Form.PROSE:
        behind += 1
    if 1 < behind < end and sum(len(blocks[at].text) for at in range(behind, end)) <= LONGEST_REQUEST:
        end = behind
    takes_all = heard[0].leads_in or heard[0].meets(EDITING)
    return {at for at in heard if 0 < at < end and (takes_all or not heard[at].is_own)}


def _foreign_to(ends: list[int], blocks: list[Block], heard: dict[int, Hearing]) -> set[int]:
    """Paragraphs that read as pasted beside a question or a word that points at them, and what goes on from them."""
    last = len(blocks) - 1
    short = [at for at in ends if len(blocks[at].text) < 300 and (heard[at].asks or heard[at].is_request)]
    refers = [
        at
        for at in ends
        if (len(blocks[at].text) < 300 or heard[at].asks)
        and (heard[at].refers or (at < last and heard[at].meets(AHEAD)))
    ]
    points = [at for at in ends if (at in short or heard[at].leads_in) and heard[at].meets(POINTING)]
    brief = {at for at in ends if len(blocks[at].text) < 300}
    material = {at for at, words in heard.items() if brief - {at} and _is_long_tale(blocks[at], words)}
    kept = {*refers, *points, *short}
    if not kept:
        return material
    kept |= brief if material else set()
    has_tales = (
        bool(short)
        and not any(heard[at].meets(RECKONING) for at in ends)
        and not any(words.is_own for words in heard.values())
    )
    works = has_tales and any(heard[at].meets(WORKING) for at in ends)
    for at, words in heard.items():
        if at in kept:
            continue
        if (
            (refers and _is_foreign(blocks[at], words, 120))
            or (points and blocks[at].form is Form.VERSE)
            or (has_tales and _is_tale(blocks[at], words, works))
        ):
            material.add(at)
    if (
        len(heard) > 2
        and 0 in heard
        and heard[0].leads_in
        and (0 in refers or 0 in points)
        and 1 in heard
        and blocks[1].form in (Form.PROSE, Form.VERSE)
        and not heard[1].ends_asking
    ):
        return material | {1}
    if (
        len(heard) == len(blocks) == 2
        and (heard[0].leads_in or heard[0].begins_work)
        and len(blocks[0].text) < 300
        and (
            _is_foreign(blocks[1], heard[1], 120)
            or (heard[0].begins_work and blocks[1].form in (Form.ITEMS, Form.VERSE) and not heard[1].is_own)
        )
    ):
        material.add(1)
    if not material:
        return material
    for steps in (range(1, len(blocks)), range(len(blocks) - 2, -1, -1)):
        for at in steps:
            beside = at - steps.step
            if (
                beside in material
                and at in heard
                and at not in kept
                and not heard[at].is_own
                and not heard[at].is_request
            ):
                material.add(at)
    return material


def _material_beside_marks(blocks: list[Block], heard: dict[int, Hearing]) -> set[int]:
    """What goes on from a labelled block, and unasked lines between two pasted blocks."""
    material: set[int] = set()
    for at, words in heard.items():
        before = at and (blocks[at - 1].form if at - 1 not in material else Form.LABELLED)
        if before >= Form.PASTED and not words.is_own and not words.is_request:
            is_between = at + 1 < len(blocks) and at + 1 not in heard and len(words.text) < 200 and not words.leads_in
            is_going_on = before == Form.LABELLED and (at + 1 < len(blocks) or at - 1 in material)
            if is_going_on or is_between:
                material.add(at)
    return material


def _requests_at_end(blocks: list[Block], heard: dict[int, Hearing]) -> int:
    """Where the requests at the end begin; the block behind the first is one only when it plainly asks."""
    end = len(blocks)
    while end > 2 and end - 1 in heard and blocks[end - 1].form is Form.PROSE and heard[end - 1].is_request:
        end -= 1
    is_alone = end == 2 and 1 in heard and blocks[1].form is Form.PROSE and len(blocks[1].text) < 300
    return 1 if is_alone and not heard[0].leads_in and heard[1].begins_request else end


def _is_said(blocks: list[Block], heard: dict[int, Hearing], at: int) -> bool:
    return (
        at == 0
        and len(blocks) > 2
        and len(blocks[0].text) < 200
        and (heard[0].is_own or heard[0].leads_in or heard[0].refers or heard[0].meets(AHEAD))
    )


def _is_foreign(block: Block, heard: Hearing, least: int) -> bool:
    """Whether a paragraph reads like something pasted: long, about others, asking nothing."""
    if heard.is_own or heard.wishes or heard.is_request:
        return False
    if block.form is Form.ITEMS and len(block.text) < 60 * (1 + block.text.count("\n")):
        return False
    if block.form is Form.VERSE:
        return True
    return len(block.text) >= (least if heard.is_ascii or " " in block.text[:40] else least // 3)


def _is_tale(block: Block, heard: Hearing, is_worked_on: bool) -> bool:
    """Whether a paragraph is long, about others, and none that one reckons with."""
    return (
        block.form is Form.PROSE
        and _is_foreign(block, heard, 350)
        and not heard.meets(ADDRESS)
        and block.text.count("$") < 2
        and (is_worked_on or sum(len(number) < 3 for number in _NUMBER.findall(block.text)) < 2)
    )


def _is_long_tale(block: Block, heard: Hearing) -> bool:
    """Whether a paragraph beside a brief one is a long text about others, with hardly a number to reckon with."""
    return (
        block.form is Form.PROSE
        and _is_foreign(block, heard, LONG_TALE)
        and not heard.meets(ADDRESS)
        and block.text.count("$") < 2
        and len(_NUMBER.findall(block.text)) * 500 <= len(block.text)
    )


def _unquote(text: str, said: list[str], pasted: list[str]) -> None:
    """Long quotes of an instruction are material; short ones are part of what is said."""
    start = 0
    opened = text.find('{"')
    if opened >= 0 and (closed := text.rfind("}")) - opened >= INLINE:
        pasted.append(text[opened : closed + 1])
        text = f"{text[:opened]}\n{text[closed + 1 :]}"
    for quote in _QUOTE.finditer(text) if _QUOTE_SIGN.search(text) else ():
        if not _is_material(quote[0][1:-1], text, quote.start()):
            continue
        if before := text[start : quote.start()].strip():
            said.append(before)
        pasted.append(quote[0])
        start = quote.end()
    if rest := text[start:].strip(" \t\n" if not start else " \t\n.,;"):
        said.append(rest)


def _is_material(quote: str, text: str, at: int) -> bool:
    """A long quote is; one that is most of the text sooner, one behind a verb that takes a text always."""
    length = len(quote) if quote.isascii() or " " in quote else 3 * len(quote)
    if length >= (40 if 2 * len(quote) > len(text) else 100):
        return True
    if length < 8:
        return False
    before = words_of(text[max(0, at - 40) : at])
    if not before:
        return length >= 40 and Hearing(text).meets(EDITING)
    leads_in = text[:at].rstrip().endswith((":", "："))
    return (EDITING.have(before[-1]) or leads_in or length >= 40) and Hearing(text).wants_a_text
