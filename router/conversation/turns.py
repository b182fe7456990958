"""What the list of messages says about the last one: does it follow up, push back, give thanks, or start afresh?

A pure fold over the last eight user turns: no clock, no randomness, no store. It decides which turns a query's
difficulty is read from and how far the score is raised; it does not estimate and does not choose a tier. When in
doubt a message counts as a follow-up *and* is estimated itself: the higher score wins.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Self

import msgspec

from classifier.types import Estimate, Turn
from router.conversation.housekeeping import is_housekeeping
from router.conversation.utterance import Utterance

USER_TURNS = 8
MOST_STEPS_UP = 2.0
REGENERATE_STEP = 0.5  # a second try is a weaker sign than words of displeasure, and may be a client's retry
LONGEST_ERRAND_CHARS = 4_000


class Kind(StrEnum):
    """What the last user turn is to what came before."""

    NEW = "new"
    FOLLOW_UP = "follow_up"
    PUSHBACK = "pushback"
    THANKS = "thanks"
    HOUSEKEEPING = "housekeeping"
    REGENERATE = "regenerate"


class ConversationView(msgspec.Struct, frozen=True):
    """How to score the last user turn.

    `subjects` are one to three groups of turns to estimate, the highest score counts; the first is the message itself
    when `has_own`. `steps_up` raises the score: one step for each pushback that still counts, at most two. Once
    settled, `estimates` has one for each subject.
    """

    kind: Kind
    subjects: tuple[tuple[Turn, ...], ...]
    has_own: bool = True
    steps_up: float = 0.0
    estimates: tuple[Estimate, ...] = ()

    def settle(self, estimates: Sequence[Estimate]) -> tuple[Estimate, Self]:
        """Take the estimate that counts; a follow-up harder than what it refers to stands on its own."""
        best = max(range(len(estimates)), key=lambda place: estimates[place].score)
        stands_alone = best == 0 and self.has_own and self.kind is Kind.FOLLOW_UP
        kind = Kind.NEW if stands_alone else self.kind
        return estimates[best], msgspec.structs.replace(self, kind=kind, estimates=tuple(estimates))


class _Standing(msgspec.Struct, frozen=True):
    """The fold's state: the subject in force, the one before it while it still counts, and the steps up on each."""

    current: Utterance
    previous: Utterance | None = None
    steps: float = 0.0
    carried: float = 0.0

    @property
    def subjects(self) -> tuple[tuple[Turn, ...], ...]:
        return (self.current.turns, self.previous.turns) if self.previous else (self.current.turns,)

    @property
    def steps_up(self) -> float:
        return min(MOST_STEPS_UP, self.steps + self.carried)


def read(turns: Sequence[Turn], *, regenerated: bool = False) -> ConversationView:
    """Read a conversation, oldest turn first; `regenerated` tells that these very messages were answered before."""
    utterances = _utterances(turns)
    if not utterances:
        return ConversationView(Kind.NEW, (tuple(turns[-1:]),))
    last = utterances[-1]
    if is_housekeeping(last.turns[-1].text) or (len(utterances) == 1 and _is_errand(turns)):
        return ConversationView(Kind.HOUSEKEEPING, (last.turns,))
    if last.is_thanks:
        return ConversationView(Kind.THANKS, (last.turns,))
    view = _fold(last)
    if not regenerated:
        return view
    steps_up = min(MOST_STEPS_UP, view.steps_up + REGENERATE_STEP)
    return msgspec.structs.replace(
        view, kind=view.kind if view.kind is Kind.PUSHBACK else Kind.REGENERATE, steps_up=steps_up
    )


def _fold(last: Utterance) -> ConversationView:
    """Walk back to where the subject began, then forward over what was said about it."""
    chain: list[tuple[Utterance, Kind]] = []
    utterance: Utterance | None = last
    while utterance is not None:
        kind = _kind(utterance)
        chain.append((utterance, kind))
        utterance = None if kind is Kind.NEW else utterance.before
    # What the window begins with is the subject, whatever it was before.
    subject, kind = chain.pop()
    standing = _Standing(subject)
    view = ConversationView(kind, standing.subjects)
    for utterance, kind in reversed(chain):
        standing, view = _step(standing, utterance, kind)
    return view


def _step(standing: _Standing, utterance: Utterance, kind: Kind) -> tuple[_Standing, ConversationView]:
    if kind is Kind.FOLLOW_UP and utterance.is_substantial:
        # A step up is not undone at once: it holds for one more question on the subject.
        standing = _Standing(utterance, standing.current, carried=standing.steps)
        return standing, ConversationView(kind, standing.subjects, steps_up=standing.steps_up)
    if kind is not Kind.FOLLOW_UP:
        standing = msgspec.structs.replace(standing, steps=standing.steps + 1.0)
    has_own = not utterance.is_bare if kind is Kind.FOLLOW_UP else kind is Kind.PUSHBACK and utterance.is_substantial
    subjects = (utterance.turns, *standing.subjects) if has_own else standing.subjects
    return standing, ConversationView(kind, subjects, has_own, standing.steps_up)


def _kind(utterance: Utterance) -> Kind:
    """Tell what an utterance that asks for something is to the one before it."""
    before = utterance.before
    if before is None or utterance.reply is None or utterance.changes_topic:
        return Kind.NEW
    if utterance.is_short_answer:
        return Kind.FOLLOW_UP
    if utterance.pushes_back:
        return Kind.PUSHBACK
    # What only leans on something earlier is passed over: the words to compare with are there.
    while before.before is not None and not before.is_substantial and (before.is_bare or before.pushes_back):
        before = before.before
    if utterance.repeats(before) and not utterance.is_bare:
        return Kind.REGENERATE
    return Kind.FOLLOW_UP if utterance.is_related_to(before) else Kind.NEW


def _utterances(turns: Sequence[Turn]) -> list[Utterance]:
    """Collect what the user said last, oldest first, each with the reply before it."""
    utterances: list[Utterance] = []
    run: list[Turn] = []
    reply: str | None = None
    for turn in reversed(turns):
        if turn.role == "user":
            if reply is not None:
                utterances.append(Utterance(tuple(reversed(run)), reply))
                run, reply = [], None
                if len(utterances) == USER_TURNS:
                    break
            run.append(turn)
        elif run and turn.role in ("assistant", "tool"):
            # Of an agent's steps the last words to the user count.
            reply = reply or (turn.text if turn.role == "assistant" else "")
    if run:
        utterances.append(Utterance(tuple(reversed(run)), reply))
    utterances.reverse()
    before: Utterance | None = None
    for utterance in utterances:
        utterance.before = before
        if before is None or not utterance.is_thanks:
            before = utterance
    return utterances


def _is_errand(turns: Sequence[Turn]) -> bool:
    """Tell whether the system prompt of a request with a single user turn asks for housekeeping."""
    systems = [turn.text for turn in turns if turn.role in ("system", "developer")]
    return len(systems) == 1 and len(systems[0]) <= LONGEST_ERRAND_CHARS and is_housekeeping(systems[0])
