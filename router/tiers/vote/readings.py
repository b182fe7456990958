"""What a sample says, as far as its form tells: an answer that can be counted, or one of the things that cannot. Pure.

What does not answer never votes. A refusal on grounds of policy and a question back are answers of their own kind: they
win only where most samples say the like, and then no sample that complied outvotes them.
"""

from dataclasses import dataclass
from enum import StrEnum


class Said(StrEnum):
    """What a sample says."""

    ANSWER = "answer"  # it has a vote key
    UNREADABLE = "unreadable"  # it answers, but how it would be counted cannot be told
    NON_ANSWER = "non_answer"  # it does not know, repeats the question, is empty, cut or a tool's error
    REFUSAL = "refusal"
    QUESTION_BACK = "question_back"
    REJECTED = "rejected"  # a verifier found it wrong

    @property
    def is_aside(self) -> bool:
        """Tell whether it answers in a kind of its own."""
        return self in (Said.REFUSAL, Said.QUESTION_BACK)


@dataclass(slots=True)
class Readings:
    """How many samples said what, of all that came back."""

    answers: int = 0
    unreadable: int = 0
    non_answers: int = 0
    refusals: int = 0
    questions_back: int = 0
    rejected: int = 0

    def note(self, said: Said) -> None:
        """Count a sample."""
        match said:
            case Said.ANSWER:
                self.answers += 1
            case Said.UNREADABLE:
                self.unreadable += 1
            case Said.NON_ANSWER:
                self.non_answers += 1
            case Said.REFUSAL:
                self.refusals += 1
            case Said.QUESTION_BACK:
                self.questions_back += 1
            case Said.REJECTED:
                self.rejected += 1

    @property
    def all(self) -> int:
        """All samples that came back."""
        return self.answers + self.unreadable + self.non_answers + self.refusals + self.questions_back + self.rejected

    @property
    def asides(self) -> int:
        """Refusals and questions back."""
        return self.refusals + self.questions_back

    @property
    def are_mostly_silent(self) -> bool:
        """Tell whether more than half of all samples do not answer: then a stronger tier should."""
        return 2 * self.non_answers > self.all

    @property
    def are_mostly_asides(self) -> bool:
        """Tell whether more than half of all samples refuse or ask back: then that is the answer."""
        return 2 * self.asides > self.all
