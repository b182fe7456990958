"""What came of a job so far: its events, in order, and the state that they add up to. Pure.

Events are all that a job remembers. Whoever runs one appends them as calls end; a process that takes a job over reads
them again and knows as much as the one that died. Texts stay with the calls: an event names an answer and its vote.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from router.jobs.recipes import Recipe
from router.jobs.steps import JobStage
from router.tiers.vote.clusters import Cluster, VoteTally
from router.tiers.vote.keys import VoteKey
from router.tiers.vote.readings import Readings, Said

MOST_LOST = 3  # of one action; then it counts as failed
BROKEN_WAVES = 2  # in a row of which nothing came: the models are away


class AnswerCame(msgspec.Struct, frozen=True, tag="answer"):
    """An answer came: of a sample, a revision or a synthesis. `at_s` are seconds since the job began.

    `same_as` names an answer that computer algebra found equal; `is_proven` that a verifier proved it right.
    """

    action: str
    at_s: float
    cost_nanousd: int | None
    said: Said
    key: VoteKey | None = None
    same_as: str | None = None
    is_proven: bool = False


class VerdictCame(msgspec.Struct, frozen=True, tag="verdict"):
    """A judge compared two answers: 0 for the first, 1 for the second, None where its two readings differ."""

    action: str
    at_s: float
    cost_nanousd: int | None
    winner: int | None = None


class FaultSought(msgspec.Struct, frozen=True, tag="fault"):
    """An answer was read for faults: whether one was found, None where that could not be told."""

    action: str
    at_s: float
    cost_nanousd: int | None
    has_fault: bool | None = None


class CallFailed(msgspec.Struct, frozen=True, tag="failed"):
    """An action came to nothing; what it cost is still paid."""

    action: str
    at_s: float
    cost_nanousd: int | None = 0


class CallLost(msgspec.Struct, frozen=True, tag="lost"):
    """An action was under way when the process ended: what it held is taken as its cost, and it is taken anew."""

    action: str
    at_s: float
    cost_nanousd: int | None = 0


class AnswerWanted(msgspec.Struct, frozen=True, tag="answer_now"):
    """The caller wants the answer now."""

    at_s: float


class InstructionsCame(msgspec.Struct, frozen=True, tag="instructions"):
    """The caller sent more instructions: what is sampled from now on has them, and votes anew."""

    at_s: float


class TimePassed(msgspec.Struct, frozen=True, tag="time"):
    """Time passed in which nothing came, as before a job is taken up again."""

    at_s: float


JobEvent = AnswerCame | VerdictCame | FaultSought | CallFailed | CallLost | AnswerWanted | InstructionsCame | TimePassed
CALL_EVENTS = (AnswerCame, VerdictCame, FaultSought, CallFailed, CallLost)


def read_events(stored: bytes | str) -> list[JobEvent]:
    """Read events as they were stored."""
    return msgspec.json.decode(stored, type=list[JobEvent])


@dataclass(slots=True)
class Trail:
    """The state of a job. Take events in with `note`; everything else only reads.

    A round begins with the job and with each new instruction: samples of another round do not vote. `first` is the
    index of the round's first sample.
    """

    recipe: Recipe
    events: list[JobEvent] = field(default_factory=list)
    spent_nanousd: int = 0
    at_s: float = 0.0
    round: int = 0
    first: int = 0
    samples_before: int = 0  # that ended in the rounds before
    is_answer_wanted: bool = False
    tally: VoteTally = field(default_factory=VoteTally)
    readings: Readings = field(default_factory=Readings)
    answering: list[str] = field(default_factory=list)  # of this round, samples that answer
    asides: list[str] = field(default_factory=list)  # of this round, refusals and questions back
    rejected: list[str] = field(default_factory=list)  # of this round, samples that a verifier found wrong
    readable: list[str] = field(default_factory=list)  # of all rounds, the latest round's last
    proven: str | None = None
    ended: set[str] = field(default_factory=set)  # actions of which no more will come
    answers: dict[str, AnswerCame] = field(default_factory=dict)
    verdicts: dict[str, int | None] = field(default_factory=dict)
    faults: dict[str, bool | None] = field(default_factory=dict)
    finishes: int = 0  # events of this round that are none of its samples
    wave: int = 0  # of this round: which one is under way
    wave_first: int = 0
    wave_ended: int = 0
    wave_answers: int = 0
    broken_waves: int = 0
    _lost: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, recipe: Recipe, events: Iterable[JobEvent]) -> "Trail":
        """Read what came so far."""
        trail = cls(recipe)
        for event in events:
            trail.note(event)
        return trail

    def note(self, event: JobEvent) -> None:
        """Take in what came."""
        self.events.append(event)
        self.at_s = max(self.at_s, event.at_s)
        match event:
            case AnswerWanted():
                self.is_answer_wanted = True
            case InstructionsCame():
                self._begin_round()
            case TimePassed():
                pass
            case _:
                self.spent_nanousd += event.cost_nanousd or 0
                self._note_call(event)

    @property
    def wave_size(self) -> int:
        """How many samples the wave under way has, cut to what is left of the recipe's."""
        sizes = self.recipe.waves
        left = self.recipe.samples - self.samples_before - (self.wave_first - self.first)
        if self.round and not self.wave:
            left = max(left, sizes[0])  # an instruction is always followed by some samples
        return max(0, min(sizes[min(self.wave, len(sizes) - 1)], left))

    @property
    def wave_names(self) -> list[str]:
        """The names of the wave's samples."""
        return [sample_name(i) for i in range(self.wave_first, self.wave_first + self.wave_size)]

    @property
    def samples_left(self) -> int:
        """How many samples may still come in this round, the wave's own included."""
        left = self.recipe.samples - self.samples_before - (self.wave_first - self.first)
        return max(left, self.wave_size) - self.wave_ended

    @property
    def is_between_waves(self) -> bool:
        """Tell whether a wave has ended and nothing came of the next."""
        return self.wave > 0 and not self.wave_ended

    @property
    def is_keyed(self) -> bool:
        """Tell whether votes are counted by key: always, unless most of what could be read has none."""
        if not self.recipe.is_open:
            return True
        return 2 * self.tally.valid >= len(self.answering) and self.tally.valid > 0

    @property
    def voters(self) -> int:
        """How many have voted, refusals and questions back among them."""
        return (self.tally.valid if self.is_keyed else 0) + len(self.asides)

    @property
    def top(self) -> tuple[int, int]:
        """The counts of the leader and of the strongest other; refusals and questions back are one other."""
        v1, v2 = self.tally.top if self.is_keyed else (0, 0)
        if self.readings.are_mostly_asides:
            return len(self.asides), v1
        return v1, max(v2, len(self.asides))

    def cluster_of(self, answer: str) -> int | None:
        """Return the place of the cluster that an answer's key belongs to among those of this round, None for none."""
        came = self.answers.get(answer)
        if came is None or came.key is None:
            return None
        found = self._cluster_named(came.same_as) or self.tally.find(came.key)
        return self.tally.clusters.index(found) if found is not None else None

    def began_s(self, names: Iterable[str]) -> float:
        """Return when a group of actions began: when the last thing before all that came of them was seen."""
        group = frozenset(names)
        for event in reversed(self.events):
            if isinstance(event, AnswerWanted) or (isinstance(event, CALL_EVENTS) and event.action in group):
                continue
            return event.at_s
        return 0.0

    def _note_call(self, event: AnswerCame | VerdictCame | FaultSought | CallFailed | CallLost) -> None:
        name = event.action
        if name in self.ended:
            return
        if isinstance(event, CallLost):
            self._lost[name] += 1
            if self._lost[name] < MOST_LOST:
                return
        self.ended.add(name)
        if isinstance(event, AnswerCame):
            self.answers[name] = event
            if event.said is not Said.REJECTED and event.said is not Said.NON_ANSWER:
                self.readable.append(name)
        elif name[0] == JobStage.JUDGE[0]:
            self.verdicts[name] = event.winner if isinstance(event, VerdictCame) else None
        elif name[0] == JobStage.VERIFY[0]:
            self.faults[name.partition(":")[2]] = event.has_fault if isinstance(event, FaultSought) else None
        if not self._is_of_round(name):
            return
        if name[0] == "s":
            self._note_sample(int(name[1:]), event)
        else:
            self.finishes += 1

    def _note_sample(self, index: int, event: object) -> None:
        self.wave_ended += 1
        if isinstance(event, AnswerCame):
            self.wave_answers += 1
            self._vote(index, event)
        if self.wave_ended == (size := self.wave_size):
            self.broken_waves = 0 if self.wave_answers else self.broken_waves + 1
            self.wave, self.wave_first = self.wave + 1, self.wave_first + size
            self.wave_ended = self.wave_answers = 0

    def _vote(self, index: int, event: AnswerCame) -> None:
        self.readings.note(event.said)
        if event.said is Said.REJECTED:
            self.rejected.append(event.action)
            return
        if event.said.is_aside:
            self.asides.append(event.action)
        elif event.said is not Said.NON_ANSWER:
            self.answering.append(event.action)
        if event.is_proven and self.proven is None:
            self.proven = event.action
        if event.key is not None:
            self.tally.add(index, event.key, to=self._cluster_named(event.same_as))

    def _cluster_named(self, answer: str | None) -> Cluster | None:
        if answer is None or answer[0] != "s":
            return None
        index = int(answer[1:])
        return next((cluster for cluster in self.tally.clusters if index in cluster.members), None)

    def _is_of_round(self, name: str) -> bool:
        """Tell whether an action is of this round, by the samples that it goes back to."""
        if name[0] == "f":
            return int(name[1:]) == self.round
        return all(int(part[1:]) >= self.first for part in name.split(":") if part[0] == "s")

    def _begin_round(self) -> None:
        """Begin anew after all samples that may be under way."""
        self.round += 1
        self.first = self.wave_first = self.wave_first + self.wave_size
        self.samples_before = sum(name[0] == "s" for name in self.ended)
        self.wave = self.wave_ended = self.wave_answers = self.broken_waves = self.finishes = 0
        self.tally, self.readings = VoteTally(), Readings()
        self.answering, self.asides, self.rejected, self.proven = [], [], [], None


def sample_name(index: int) -> str:
    """Name a sample."""
    return f"s{index}"


def action_name(stage: JobStage, of: Sequence[str] = (), round_no: int = 0) -> str:
    """Name what is done with answers: `j:s0:s3`, `v:s0`, `r:s0`; a synthesis by its round, `f0`."""
    if stage is JobStage.SYNTHESISE:
        return f"f{round_no}"
    return ":".join((stage[0], *of))
