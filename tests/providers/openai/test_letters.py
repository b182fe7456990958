from hypothesis import given
from hypothesis import strategies as st

from router.providers.openai.letters import LetterJoiner, whole_letters


def test_halves_that_stand_together_are_joined_and_others_replaced() -> None:
    assert whole_letters("\ud83d\ude00 \ud83d\udca9 \udcaf \ud83d") == "😀 💩 \ufffd \ufffd"


def test_a_pair_cut_over_two_pieces_is_joined() -> None:
    joiner = LetterJoiner()
    assert joiner.join("Hi \ud83d") + joiner.join("\ude00 there") + joiner.end() == "Hi 😀 there"


@given(st.text(), st.data())
def test_bytes_cut_anywhere_are_the_same_letters(text: str, data: st.DataObject) -> None:
    encoded = text.encode()
    at = data.draw(st.integers(0, len(encoded)))
    joiner = LetterJoiner()
    pieces = [part.decode(errors="surrogateescape") for part in (encoded[:at], encoded[at:])]
    assert "".join(map(joiner.join, pieces)) + joiner.end() == text


@given(st.lists(st.text(st.characters(categories=("Cs", "L"))), max_size=5))
def test_what_comes_out_can_be_sent(pieces: list[str]) -> None:
    joiner = LetterJoiner()
    (whole_letters("".join(pieces)) + "".join(map(joiner.join, pieces)) + joiner.end()).encode()
