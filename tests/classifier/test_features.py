from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.features import HEAD_CHARS, SURFACE_NAMES, TAIL_CHARS, clipped, extract, hash_phrase


@given(st.text())
def test_any_text_has_finite_features(text: str) -> None:
    features = extract(text)
    assert len(features.grams) == len(features.frequencies)
    assert features.surface.shape == (len(SURFACE_NAMES),)
    assert np.all(np.isfinite(features.surface))


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_letter_case_is_not_read(text: str) -> None:
    assert np.array_equal(extract(text).grams, extract(text.upper()).grams)


@given(st.lists(st.sampled_from(["alpha", "beta", "gamma"]), min_size=1))
def test_repetition_gives_no_new_ngrams_but_higher_frequencies(words: list[str]) -> None:
    once, often = extract(" ".join(words)), extract(" ".join(words * 3))
    assert set(once.grams.tolist()) <= set(often.grams.tolist())
    assert often.frequencies.max() > once.frequencies.max()


def test_a_word_has_the_same_hash_wherever_it_stands() -> None:
    assert hash_phrase("theorem") in extract("at the very end of it all stands a theorem").grams
    assert hash_phrase("prime number") in extract("is this a prime number?").grams


@pytest.mark.parametrize("text", ["¿Cuántos días?", "«Cuántos días»", "“cuántos” días", "，cuántos。días"])
def test_punctuation_beyond_ascii_parts_words(text: str) -> None:
    assert hash_phrase("cuántos") in extract(text).grams


@pytest.mark.parametrize("phrase", ["", "one two three", "x"])
def test_what_is_no_word_or_pair_has_no_hash(phrase: str) -> None:
    with pytest.raises(ValueError, match="not one or two words"):
        hash_phrase(phrase)


@given(st.text(min_size=0, max_size=8000))
def test_clipping_is_bounded_and_done_once(text: str) -> None:
    assert len(clipped(text)) <= HEAD_CHARS + TAIL_CHARS
    assert clipped(clipped(text)) == clipped(text)


def _signal(text: str, name: str) -> float:
    return float(np.expm1(extract(text).surface[SURFACE_NAMES.index(name)]))


@pytest.mark.parametrize("mark", ["A. {}\nB. {}\nC. {}", "(a) {}\n(b) {}\n(c) {}", "a) {}\nb) {}\nc) {}"])
def test_answers_offered_do_not_make_the_question_longer(mark: str) -> None:
    question = "Which of these is a noble gas?"
    short, long = (question + "\n" + mark.format(*(f"{word} gas" for word in words)) for words in (SHORT, LONG))
    assert _signal(short, "question") == pytest.approx(_signal(long, "question"), abs=0.01)
    assert _signal(short, "options") == pytest.approx(3, abs=0.01)
    assert _signal(short, "options_length") < _signal(long, "options_length")


SHORT, LONG = ("neon", "iron", "zinc"), ("neon" * 9, "iron" * 5, "zinc" * 7)


def test_the_longest_sentence_is_measured() -> None:
    assert _signal("Short. This one is a good deal longer! No?", "longest_sentence") > 25
    assert _signal("Short. This one is a good deal longer! No?", "sentences") == pytest.approx(4, abs=0.01)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("f('abc de', \"x'yz\") == ??", [6, 4]),
        ("f('', 'später')", [0, 6]),
        ("f('open\nclosed', 'x')", [1]),
        ("It isn't the dogs' fault, they don't bark", []),
        ("no quotes at all", []),
    ],
)
def test_what_stands_in_quotes_is_measured(text: str, sizes: list[int]) -> None:
    assert _signal(text, "quoted") == pytest.approx(sum(sizes), rel=0.1)
    assert _signal(text, "longest_quoted") == pytest.approx(max(sizes, default=0), rel=0.1)


WORDS = st.lists(
    st.sampled_from(["alpha", "Alpha", "x", "q7", "42", "9", "_", "жук", "ü", "語", "語語", "Ωmega"]), max_size=60
)


@given(WORDS, st.sampled_from([" ", ", ", "\n", "? ", " - "]))
def test_all_words_at_once_are_read_as_they_are_one_by_one(words: list[str], parting: str) -> None:
    features = extract(f"Zebra{parting}{parting.join(words)}{parting}zebra")
    written = [word.lower().encode() for word in ("zebra", *words, "zebra")]
    long = [word.decode() for word in written if len(word) > 1]
    counted = Counter(hash_phrase(said) for said in (*long, *map(" ".join, pairwise(long))))
    assert features.grams.tolist() == sorted(counted)
    said_times = [counted[gram] for gram in features.grams.tolist()]
    np.testing.assert_allclose(features.frequencies, 1 + np.log(said_times), rtol=1e-6)
    signals = dict(zip(SURFACE_NAMES, np.expm1(features.surface), strict=True))
    assert round(signals["words"]) == len(long)
    assert round(signals["one_letter_words"]) == len(written) - len(long)
    assert round(signals["longest_word"]) == max(map(len, written))
    assert round(signals["numbers"]) == sum(word[:1].isdigit() for word in written)


def test_hashes_are_those_that_the_format_has_always_had() -> None:
    assert [hash_phrase(said) for said in ("theorem", "prime number", "простых")] == [3039204648, 705633136, 743673452]
