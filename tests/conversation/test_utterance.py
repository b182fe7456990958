"""What one user turn is by itself, and what it has to do with the one before it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.types import Turn
from router.conversation.utterance import READ_CHARS, SHORT_CHARS, Utterance, fold

ASKED_BACK = "Do you want it with or without nuts?"


def an_utterance(*texts: str, reply: str | None = None, attachments: int = 0) -> Utterance:
    return Utterance(tuple(Turn("user", text, attachments=attachments) for text in texts), reply)


def test_words_are_matched_folded_and_only_the_beginning_is_read() -> None:
    assert fold("  It’s ‘FINE’, STRASSE ") == "it's 'fine', strasse"
    assert an_utterance("Why?", "And HOW?").text == "why?\nand how?"
    assert len(an_utterance("x" * 10 * READ_CHARS).text) == READ_CHARS


def test_only_words_with_a_subject_have_weight() -> None:
    assert an_utterance("and what is the of it?").weight == 0
    assert an_utterance("And what do quokkas eat?").content == ["quokkas", "eat"]
    assert an_utterance("量子力学入門").weight == 3  # two characters of a script without spaces are a word


@pytest.mark.parametrize("text", ["thanks!", "Thank you so much", "ok, great", "Danke!", "谢谢", "hello"])
def test_thanks_and_greetings_ask_nothing(text: str) -> None:
    assert an_utterance(text).is_thanks


def test_thanks_with_a_question_an_image_or_nothing_at_all_are_no_thanks() -> None:
    assert not an_utterance("thanks, and what about quokkas?").is_thanks
    assert not an_utterance("thanks", attachments=1).is_thanks
    assert not an_utterance("").is_thanks


def test_ok_to_a_question_is_a_go_ahead_and_to_an_answer_it_is_thanks() -> None:
    assert not an_utterance("ok", reply="Shall I write it?").is_thanks
    assert an_utterance("ok", reply="Here it is.").is_thanks


@pytest.mark.parametrize("reply", [ASKED_BACK, "**Shall I?**", 'Did you mean "nuts?"', "要不要？", "هل تريد؟"])
def test_what_follows_a_question_may_answer_it(reply: str) -> None:
    assert an_utterance("without", reply=reply).answers
    assert an_utterance("without", reply=reply).is_short_answer


@pytest.mark.parametrize("reply", [None, "Here it is.", "Why? Because of the nuts."])
def test_what_follows_no_question_answers_none(reply: str | None) -> None:
    assert not an_utterance("without", reply=reply).is_short_answer


def test_a_question_a_request_or_a_long_text_is_no_short_answer() -> None:
    assert not an_utterance("what nuts?", reply=ASKED_BACK).is_short_answer
    assert not an_utterance("write a poem", reply=ASKED_BACK).is_short_answer
    assert not an_utterance("my aunt brought seven of them from Portugal", reply=ASKED_BACK).is_short_answer
    assert an_utterance("no, my aunt brought seven of them from Portugal", reply=ASKED_BACK).is_short_answer


@pytest.mark.parametrize("text", ["No", "that's wrong", "Are you sure?", "Das stimmt nicht", "不对"])
def test_who_finds_fault_early_on_pushes_back(text: str) -> None:
    assert an_utterance(text).pushes_back


def test_what_is_said_to_be_wrong_late_in_a_text_is_no_pushback() -> None:
    story = "My neighbour told me a long story about a bridge, a goat and the mayor of a town in the hills, and then "
    assert not an_utterance(f"{story}he said: that's wrong").pushes_back
    assert not an_utterance("What do quokkas eat?").pushes_back


def test_a_new_subject_is_announced() -> None:
    assert an_utterance("By the way, what do quokkas eat?").changes_topic
    assert an_utterance("Thanks. Different question: what do quokkas eat?").changes_topic
    assert not an_utterance("What do quokkas eat?").changes_topic


@pytest.mark.parametrize("text", ["why?", "go on", "and?", "shorter", "🙂", "??"])
def test_what_says_nothing_of_its_own_is_bare(text: str) -> None:
    assert an_utterance(text).is_bare


def test_an_image_a_long_text_or_a_subject_is_not_bare() -> None:
    assert not an_utterance("why?", attachments=1).is_bare
    assert not an_utterance("why " * SHORT_CHARS).is_bare
    assert not an_utterance("Why do quokkas smile at people?").is_bare


def test_a_fragment_is_bare_only_where_it_answers_or_leans_on_something() -> None:
    assert an_utterance("almonds", reply=ASKED_BACK).is_bare
    assert an_utterance("and almonds?").is_bare
    assert not an_utterance("almonds").is_bare


def test_a_follow_up_of_some_weight_is_a_question_in_its_own_right() -> None:
    assert an_utterance("Compare quokkas, wombats, numbats, bilbies").is_substantial
    assert an_utterance("why?", attachments=1).is_substantial
    assert an_utterance("and so on " * SHORT_CHARS).is_substantial
    assert not an_utterance("and wombats?").is_substantial


def test_the_same_words_are_the_same_question_and_an_image_is_another() -> None:
    assert an_utterance("Why is it so?").repeats(an_utterance("why is it so? "))
    assert not an_utterance("why?", attachments=1).repeats(an_utterance("why?"))


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("and wombats?", None),  # leans on what was said
        ("Is it dangerous?", None),  # refers to it
        ("Which marsupial sleeps longest?", None),  # shares a word with the question
        ("Is eucalyptus or grass healthier?", "They eat eucalyptus and grass."),  # shares words with the answer
        ("almonds", None),  # too little to tell
        ("Und welche Farbe hat ihr Fell im Winter eigentlich?", None),  # another language of the same person
    ],
)
def test_what_leans_on_the_last_question_or_its_answer_is_related(text: str, reply: str | None) -> None:
    before = an_utterance("What do most marsupials eat when the season is dry and there is no grass?")
    assert an_utterance(text, reply=reply).is_related_to(before)


def test_another_subject_in_the_same_language_is_not_related() -> None:
    before = an_utterance("What do most marsupials eat in the dry season?", reply="Mostly grass.")
    assert not an_utterance("Write a short poem about the moon landing").is_related_to(before)
    assert not an_utterance("俳句を書いてください").is_related_to(an_utterance("量子力学とは何ですか"))


@given(st.text(max_size=300), st.text(max_size=300), st.none() | st.text(max_size=100), st.integers(0, 1))
def test_any_text_can_be_read(text: str, before: str, reply: str | None, attachments: int) -> None:
    one, other = an_utterance(text, reply=reply, attachments=attachments), an_utterance(before)
    assert one.is_related_to(other) in (True, False)
    assert one.repeats(one) is not one.has_attachments
    assert one.is_bare <= (not one.has_attachments)
    assert one.is_thanks <= (len(one.text) <= 100)
