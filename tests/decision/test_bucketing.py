"""A conversation keeps its mark, and only it has it."""

from router.decision.bucketing import LONGEST_READ, bucket_of

FIRST = {"role": "user", "content": "How much is it?"}
LATER = [{"role": "assistant", "content": "Five."}, {"role": "user", "content": "And two?"}]
SYSTEM = {"role": "system", "content": "Be brief."}


def test_a_conversation_keeps_its_mark_as_it_goes_on() -> None:
    assert bucket_of(1, None, [FIRST]) == bucket_of(1, None, [SYSTEM, FIRST, *LATER])
    assert bucket_of(1, "c1", [FIRST]) == bucket_of(1, "c1", LATER)


def test_other_conversations_and_other_keys_have_other_marks() -> None:
    marks = [
        bucket_of(1, None, [FIRST]),
        bucket_of(2, None, [FIRST]),
        bucket_of(None, None, [FIRST]),
        bucket_of(1, None, LATER),
        bucket_of(1, "How much is it?", [FIRST]),
        bucket_of(1, "c2", [FIRST]),
        bucket_of(1, None, []),
    ]
    assert len(set(marks)) == len(marks)
    assert all(0 <= mark < 2**64 for mark in marks)


def test_a_mark_is_the_same_in_every_worker() -> None:
    assert bucket_of(1, "c1", []) == 13797066246974336744


def test_parts_and_texts_that_are_no_unicode_have_marks_too() -> None:
    parts = {"role": "user", "content": [{"type": "text", "text": "Look"}]}
    assert bucket_of(1, None, [parts]) != bucket_of(1, None, [FIRST])
    assert bucket_of(1, "\ud800", [])


def test_of_a_long_first_turn_the_beginning_counts() -> None:
    long = [{"role": "user", "content": "x" * LONGEST_READ + tail} for tail in ("a", "b")]
    assert bucket_of(1, None, long[:1]) == bucket_of(1, None, long[1:])
