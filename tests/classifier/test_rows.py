"""Packed rows hold, without loss, all that a judgement needs, and no text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier import artifact
from classifier.rows import RowError, pack, unpack
from classifier.types import Turn
from tests.classifier.builders import MATHS, SMALL_TALK, a_conversation

MODEL = artifact.load()


@given(st.text(max_size=400))
def test_packing_loses_nothing(text: str) -> None:
    seen = MODEL.read((Turn("user", text),))
    back = unpack(pack(seen))
    assert back.burden == seen.burden
    assert back.features.is_ascii == seen.features.is_ascii
    for name in ("grams", "frequencies", "surface"):
        before, after = getattr(seen.features, name), getattr(back.features, name)
        np.testing.assert_array_equal(before, after)
        assert before.dtype == after.dtype


def test_a_row_is_judged_as_its_text_was() -> None:
    for turns in (a_conversation(MATHS), a_conversation(SMALL_TALK, "fine", "why?"), a_conversation("x " * 4_000)):
        estimate, judged = MODEL.estimate(turns), MODEL.judge(unpack(pack(MODEL.read(turns))))
        assert (judged.p_fast, judged.p_reasoning) == pytest.approx((estimate.p_fast, estimate.p_reasoning), abs=1e-12)
        assert (judged.output_fast, judged.output_reasoning) == (estimate.output_fast, estimate.output_reasoning)


def test_an_estimate_carries_what_it_was_read_from() -> None:
    turns = a_conversation(MATHS)
    seen = MODEL.estimate(turns).seen
    assert seen is not None
    assert pack(seen) == pack(MODEL.read(turns))


def test_an_ordinary_question_takes_some_hundred_bytes_and_none_of_its_words() -> None:
    row = pack(
        MODEL.read(a_conversation("Which of my neighbours would know where the old quarry railway used to run?"))
    )
    assert len(row) < 300
    for word in (b"quarry", b"railway", b"neighbours"):
        assert word not in row


@pytest.mark.parametrize(
    "damage", [lambda row: b"", lambda row: row[:-1], lambda row: row + b"\0", lambda row: b"\xff" * 9]
)
def test_what_is_no_row_is_refused(damage: object) -> None:
    row = pack(MODEL.read(a_conversation(MATHS)))
    with pytest.raises(RowError):
        unpack(damage(row))  # type: ignore[operator]
