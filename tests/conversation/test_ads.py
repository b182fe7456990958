"""Which queries may carry ads, and which may want to buy something: in several languages, and never for routing."""

from typing import Any

import pytest

from router.conversation.ads import AdLexicon, last_user_texts, load_lexicon

NOTHING = AdLexicon({})

SENSITIVE = {
    "health": (
        "I have a rash on my arm, should I worry?",
        "Welche Symptome hat eine Depression?",
        "J'ai peur, je suis enceinte",
        "¿Qué medicamentos puedo tomar con diabetes?",
        "Estou grávida e com dor",
        "sono incinta da due mesi",
        "Какие симптомы у этой болезни?",
        "ما هي أعراض السكري؟",
        "मधुमेह के लक्षण क्या हैं?",
        "糖尿病の症状は?",
        "우울증 치료 방법",
    ),
    "politics": (
        "Who should I vote for in the election?",
        "Was will die Partei nach der Wahl?",
        "Que pense Macron de l'immigration ?",
        "¿Quién ganó las elecciones?",
        "Кто победит на выборах президента?",
        "谁会赢得选举?",
        "선거는 언제인가요?",
    ),
    "minors": (
        "I'm 12 and bored",
        "i am 15 years old",
        "Ich bin 13 Jahre alt, wie spare ich?",
        "tengo 14 años",
        "can you do my homework",
        "ödevim için yardım et",
    ),
}
ORDINARY = (
    "What is the best way to cook rice?",
    "Wie sortiere ich eine Liste in Python?",
    "Écris un poème sur la mer",
    "I am 30 years old and like hiking",
    "i'm 12% sure about it",
    "¿Qué tiempo hace mañana?",
    "Почему небо голубое?",
    "天空为什么是蓝色的?",
)
COMMERCIAL = (
    "cheapest laptop for students",
    "Wo kann ich günstig Schuhe kaufen?",
    "meilleur hôtel à Lisbonne",
    "¿Cuál es el precio de una bicicleta?",
    "где купить билеты на поезд",
    "このカメラの価格は?",
    "호텔 예약 어디서 해?",
)


@pytest.mark.parametrize("text", [text for texts in SENSITIVE.values() for text in texts])
def test_a_sensitive_query_is_told(text: str) -> None:
    assert load_lexicon().view([text]).is_sensitive


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_query_is_neither(text: str) -> None:
    view = load_lexicon().view([text])
    assert (view.is_sensitive, view.is_commercial) == (False, False)


@pytest.mark.parametrize("text", COMMERCIAL)
def test_somebody_who_may_want_to_buy_is_told(text: str) -> None:
    assert load_lexicon().view([text]).is_commercial


def test_a_follow_up_is_about_what_it_follows() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Is this rash an allergy?"},
        {"role": "assistant", "content": "It may be."},
        {"role": "user", "content": [{"type": "text", "text": "and what helps?"}, {"type": "image_url"}]},
    ]
    assert last_user_texts(messages) == ["Is this rash an allergy?", "and what helps?"]
    assert load_lexicon().view(last_user_texts(messages)).is_sensitive
    assert not load_lexicon().view(last_user_texts(messages, turns=1)).is_sensitive


@pytest.mark.parametrize("messages", [[], [{"role": "user"}], [{"role": "user", "content": None}]])
def test_what_says_nothing_is_neither(messages: list[dict[str, Any]]) -> None:
    assert load_lexicon().view(last_user_texts(messages)) == NOTHING.view([])
