"""Errands of chat UIs, worded as such UIs word them, and what users ask that looks like them and is not."""

import pytest

from classifier.types import Turn
from router.conversation.housekeeping import is_housekeeping
from router.conversation.turns import Kind, read

CHAT = "\n<chat_history>\nUSER: how do vaccines work?\nASSISTANT: They train the immune system.\n</chat_history>"
ERRANDS = {
    "title-json": f'Create a short title of 3-5 words for the chat history.\nJSON format: {{"title": "x"}}{CHAT}',
    "title-plain": "Please provide a title of five words or less for the conversation. Reply with only the title.",
    "title-no-quotes": "Summarize our conversation as a four to five word title without lead-in or punctuation.",
    "title-language": "Analyze this conversation and give its language and a title (5 words or less, no punctuation).",
    "title-first-message": "Write a title for the chat from the user's message. At most 9 characters.\nhow old is Rome",
    "tags": f'Generate broad tags that categorize the conversation.\nOutput JSON: {{"tags": ["a", "b"]}}{CHAT}',
    "follow-ups": f"Suggest three follow-up questions the user may ask next. Return a JSON array of strings.{CHAT}",
    "replies": "Given the conversation, propose 3 next messages the user could send. One per line, nothing else.",
    "search": f'Analyze the chat history and generate search queries. Respond only with JSON {{"queries": []}}{CHAT}',
    "autocomplete": "You are an autocomplete engine for text. Answer as JSON.\n<text>The best way to</text>",
    "emoji": "Reflect the speaker's facial expression through one emoji.\nMessage: I lost my keys again",
    "title-de": "Erstelle einen kurzen Titel für das Gespräch. Antworte nur mit dem Titel.",
    "title-es": "Genera un título corto para la conversación. Responde solo con el título, máximo 5 palabras.",
    "title-pt": 'Gere um título conciso que resuma a conversa. Formato JSON: {"title": "..."}',
    "title-zh": "请为以上对话生成一个简短的标题，只返回标题，十个字以内。",
    "title-ja": "この会話の短いタイトルを作成してください。タイトルのみを出力してください。",
}
QUERIES = {
    "essay": "Suggest a title for my essay about the French Revolution.",
    "paper": "What are good tags for a blog post on sourdough?",
    "seo": "Write a headline and three topic sentences for a landing page that sells running shoes.",
    "json": "Convert this CSV to JSON: name,age\nAda,36",
    "follow-up": "What are follow-up appointments after a hip replacement for?",
    "chat": "How do I export a WhatsApp chat history?",
    "legal": "Which topics may come up in a conversation with a tax auditor, and how should I answer?",
    "long": "Explain step by step how the title of a house is transferred. "
    + "I have read that it takes weeks. " * 200,
    "emoji": "Which emoji means thank you?",
    "complete": "How do I autocomplete an email address in an HTML form?",
}


@pytest.mark.parametrize("text", ERRANDS.values(), ids=ERRANDS)
def test_errands_are_recognised(text: str) -> None:
    assert is_housekeeping(text)


@pytest.mark.parametrize("text", QUERIES.values(), ids=QUERIES)
def test_queries_are_not_taken_for_errands(text: str) -> None:
    assert not is_housekeeping(text)


def test_an_errand_ends_a_conversation_or_is_its_system_prompt() -> None:
    chat = [Turn("user", "how old is Rome?"), Turn("assistant", "About 2,800 years.")]
    errand = ERRANDS["title-plain"]
    assert read([*chat, Turn("user", errand)]).kind is Kind.HOUSEKEEPING
    assert read([Turn("system", errand), Turn("user", "how old is Rome?")]).kind is Kind.HOUSEKEEPING
    assert read([Turn("user", errand), Turn("assistant", "Rome"), Turn("user", "why?")]).kind is not Kind.HOUSEKEEPING


def test_an_errand_behind_a_very_long_conversation_is_recognised() -> None:
    assert is_housekeeping(ERRANDS["title-json"] + "x" * 50_000)
