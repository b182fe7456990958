"""A guess at the language: right on ordinary questions, silent where little is said."""

import pytest

from classifier.types import Turn
from router.conversation.language import guess, guess_of_turns
from router.conversation.utterance import Utterance

SAID = {
    "en": "What is the best way to cook rice without burning it?",
    "de": "Wie koche ich Reis, ohne dass er anbrennt?",
    "fr": "Comment cuire le riz sans le brûler ?",
    "es": "¿Cuál es la mejor forma de cocinar arroz?",
    "pt": "Qual é a melhor forma de cozinhar arroz sem queimar?",
    "it": "Come si cuoce il riso senza bruciarlo?",
    "nl": "Hoe kook ik rijst zonder dat het aanbrandt?",
    "pl": "Jak ugotować ryż, żeby się nie przypalił?",
    "tr": "Pilav nasıl yapılır ve ne kadar su gerekir?",
    "id": "Bagaimana cara memasak nasi dengan baik untuk saya?",
    "sv": "Hur kokar jag ris så att det inte bränns?",
    "vi": "Làm thế nào để nấu cơm không bị cháy?",
    "ru": "Как сварить рис, чтобы он не пригорел?",
    "uk": "Як зварити рис, щоб він не пригорів?",
    "ar": "كيف أطبخ الأرز دون أن يحترق؟",
    "fa": "چگونه برنج بپزم که نسوزد؟",
    "hi": "चावल कैसे पकाएं ताकि वह जले नहीं?",
    "ja": "ご飯を焦がさずに炊く方法は?",
    "zh": "怎样煮米饭才不会烧焦？",
    "ko": "밥을 태우지 않고 짓는 방법은?",
    "th": "หุงข้าวอย่างไรไม่ให้ไหม้",
    "el": "Πώς μαγειρεύω ρύζι χωρίς να καεί;",
}


@pytest.mark.parametrize("language", SAID)
def test_an_ordinary_question_is_told(language: str) -> None:
    assert guess(SAID[language]) == language


@pytest.mark.parametrize("text", ["", "ok", "42", "🙂🙂", "asdf qwer", "x = [1, 2, 3]", "Paris Berlin London", "?!"])
def test_where_little_is_said_it_says_nothing(text: str) -> None:
    assert guess(text) is None


def test_a_foreign_word_does_not_change_the_language() -> None:
    assert guess("What does the word сахар mean, and how do you say it?") == "en"
    assert guess("Как установить Python и numpy на Windows?") == "ru"


def test_a_long_text_is_told_by_its_beginning() -> None:
    assert guess(SAID["de"] * 100_000) == "de"


@pytest.mark.parametrize("language", sorted(SAID.keys() - {"en"}))
def test_a_turn_in_another_language_may_lean_on_the_one_before(language: str) -> None:
    said, before = (Utterance((Turn("user", SAID[name]),), None) for name in (language, "en"))
    assert said.is_related_to(before)


@pytest.mark.parametrize("language", ["en", "de", "ru", "ar", "hi"])
def test_a_new_subject_in_the_same_language_does_not(language: str) -> None:
    other = {
        "en": "Which ships brought marble from Carrara to Rome?",
        "de": "Welche Schiffe brachten den Marmor von Carrara nach Rom?",
        "ru": "Почему корабли возили мрамор морем, а не по дорогам?",
        "ar": "لماذا نقلت السفن الرخام عبر البحر؟",
        "hi": "जहाज संगमरमर समुद्र के रास्ते क्यों लाते थे?",
    }
    said, before = (Utterance((Turn("user", text),), None) for text in (other[language], SAID[language]))
    assert guess(other[language]) == language
    assert not said.is_related_to(before)


def test_the_last_turn_tells_and_where_it_does_not_all_do() -> None:
    assert guess_of_turns([SAID["en"], SAID["de"]]) == "de"
    assert guess_of_turns([SAID["de"], "ok"]) == "de"
    assert guess_of_turns(["ok"]) is None
    assert guess_of_turns([]) is None
