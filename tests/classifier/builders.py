"""Builders of conversations for tests."""

from classifier.types import Turn

MATHS = "Let $f(x)=x^3-3x+1$. Find the sum of the squares of the real roots of $f(f(x))=0$."
SMALL_TALK = "hello, how are you?"


def a_conversation(*texts: str, system: str = "") -> tuple[Turn, ...]:
    """User and assistant in turns, the user first; after an optional system prompt."""
    roles = ("user", "assistant")
    said = tuple(Turn(roles[at % 2], text) for at, text in enumerate(texts))
    return (Turn("system", system), *said) if system else said
