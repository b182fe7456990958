"""What sampling came to, as the client sees it: the answer, its confidence, and the trace that explains both."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from router.errors import ProviderError, QuotaExhausted, RouterError
from router.ledger.entries import VoteEnding
from router.providers.base import Choice, Delta
from router.tiers.base import Answer, TierRequest
from router.tiers.parallel.calibration import ENOUGH_EVIDENCE, CalibrationTable
from router.tiers.parallel.fanout import Fate, Sample
from router.tiers.parallel.sampling import Progress, Sampling, StopReason, agreement_of, share_of
from router.tiers.parallel.voting import Vote
from router.tiers.vote.keys import vote_key
from router.types import Tier

DECIDED = frozenset({StopReason.ACCEPTED, StopReason.VERIFIED, StopReason.SURE})
ANSWERED = DECIDED | {StopReason.TRUSTED, StopReason.ASIDE, StopReason.NO_VOTE_KEY}
LOW_CONFIDENCE = 0.5
GOOD_AGREEMENT = 0.95
UNREADABLE = frozenset({Fate.INVALID, Fate.REJECTED, Fate.NON_ANSWER})
PIECE = 400


@dataclass(slots=True)
class VoteOutcome:
    """The end of sampling. `escalates` and what a judge said are settled by the tier afterwards.

    `models` are those sampled, as one text; `judge` has said whether it `accepts` what the client gets.
    """

    query: TierRequest
    sampling: Sampling
    calibration: CalibrationTable
    models: str
    escalates: bool = False
    judged: Sample | None = None
    judge: str | None = None
    judge_accepts: bool | None = None
    strong_agrees: bool | None = None  # with the leader

    @property
    def is_undecided(self) -> bool:
        """Tell whether a stronger tier should answer instead, if there is one."""
        return self.sampling.reason not in ANSWERED

    @property
    def has_answer(self) -> bool:
        """Tell whether any sample can answer."""
        return any(s.choice is not None for s in self.sampling.fan.samples)

    @property
    def hints(self) -> list[str]:
        """The answers that the vote was torn between."""
        return self.sampling.vote.top_answers

    @property
    def contested(self) -> tuple[Sample, Sample] | None:
        """The first samples of the top two clusters, when one vote or less lies between them."""
        v1, v2 = self.sampling.vote.top
        ranked = self.sampling.vote.tally.ranked
        if self.sampling.reason in DECIDED or not self.sampling.vote.is_keyed or v1 - v2 > 1 or len(ranked) < 2:
            return None
        samples = self.sampling.fan.samples
        return samples[ranked[0].members[0]], samples[ranked[1].members[0]]

    def ending(self, confidence: float = 0.0) -> VoteEnding:
        """How the vote ended, as the books keep it."""
        vote, estimate = self.sampling.vote, self.query.estimate
        v1, v2 = vote.top
        return VoteEnding(
            request_id=self.query.request_id,
            models=self.models,
            answer_type=row_of(vote, self.sampling.reason),
            stop_reason=self.sampling.reason,
            samples=len(self.sampling.fan.samples),
            voters=vote.voters,
            unreadable=sum(s.fate in UNREADABLE for s in self.sampling.fan.samples) if vote.is_keyed else 0,
            leader=v1,
            second=v2,
            is_escalated=self.escalates,
            agrees=self.strong_agrees,
            confidence=confidence,
            p_sampled=estimate.p_fast,
            p_strong=estimate.p_reasoning,
            judge=self.judge,
            judge_accepts=self.judge_accepts,
        )

    @property
    def confidence(self) -> float:
        """P(the answer of the samples is right), as far as labels tell; how far it leads is another figure."""
        ending = self.ending()
        p = self.calibration.leader(ending).p
        is_similar = not self.sampling.vote.is_keyed and self.sampling.reason not in DECIDED - {StopReason.ACCEPTED}
        if is_similar and self.calibration.labels(ending.key) < ENOUGH_EVIDENCE:
            return min(LOW_CONFIDENCE, p)
        return p

    @property
    def is_low(self) -> bool:
        """Tell whether the vote was not accepted, nor settled by as good an agreement, nor trusted by labels."""
        if self.sampling.reason in (StopReason.TRUSTED, StopReason.ASIDE):
            return False
        if self.sampling.reason is StopReason.SETTLED:
            return agreement_of(self.sampling.vote) < min(GOOD_AGREEMENT, self.sampling.plan.confidence)
        return self.sampling.reason not in DECIDED or not self.sampling.vote.is_keyed

    def failure(self) -> RouterError:
        """Say why there is nothing to answer with."""
        if self.sampling.reason is StopReason.COST_CAP:
            return QuotaExhausted("the cost cap of this request does not cover one sample")
        errors = [s.error for s in self.sampling.fan.samples if s.error is not None]
        return errors[-1] if errors else ProviderError("no sample came back")

    def answer(self) -> Answer:
        """Return the winner; with n the next best samples follow it."""
        ranking = self.sampling.vote.ranking(self.sampling.fan.samples)
        if self.judged is not None:
            ranking = [self.judged, *(s for s in ranking if s is not self.judged)]
        choices: list[Choice] = []
        for sample in ranking[: self.query.n]:
            assert sample.choice is not None
            logprobs = sample.choice.logprobs if self.query.params.get("logprobs") else None
            choices.append(msgspec.structs.replace(sample.choice, index=len(choices), logprobs=logprobs))
        winner = ranking[0]
        assert winner.completion is not None
        return Answer(
            choices=choices,
            final_tier=Tier.PARALLEL,
            provider_model=winner.completion.provider_model,
            call_no=winner.call.call_no,
            dropped=[name for name in winner.completion.dropped if name in self.query.params],
            service_tier=winner.completion.service_tier,
            system_fingerprint=winner.completion.system_fingerprint,
            confidence=round(self.confidence, 4),
            trace=self.trace(winner),
        )

    def mark_escalated(self, answer: Answer, texts: Sequence[str | None]) -> Answer:
        """Mark the stronger tier's answer: where it agrees with the vote it is surer than where it stands alone."""
        vote = self.sampling.vote
        keys = [key for text in texts if text and (key := vote_key(Choice(content=text), vote.question)) is not None]
        named = [cluster for key in keys if (cluster := vote.tally.find(key)) is not None]
        leaders = [c for c in vote.tally.ranked if c.votes == vote.top[0]]
        self.strong_agrees = any(cluster in leaders for cluster in named) if keys and self.hints else None
        is_hint = any(cluster in vote.tally.ranked[:2] for cluster in named)
        answer.confidence = round(self.calibration.strong(self.ending()).p, 4)
        answer.trace = {
            **self.trace(None),
            "escalated": True,
            "escalation_agrees": is_hint,
            "low_confidence": bool(self.hints) and not is_hint,
        }
        return answer

    def trace(self, winner: Sample | None) -> dict[str, Any]:
        """Tell samples, votes, winner share, stop reason and the cost of each sample."""
        sampling, vote = self.sampling, self.sampling.vote
        return {
            "stop_reason": sampling.reason,
            "samples": [sample.trace_entry() for sample in sampling.fan.samples],
            "votes": [{"answer": c.key.value[:200], "votes": len(c.members)} for c in vote.tally.ranked[:5]],
            "winner": winner.call.call_no if winner else None,
            "winner_share": round(share_of(vote), 4),
            "valid": vote.voters,
            "waves": sampling.waves_sent,
            "agreement": round(agreement_of(vote), 4),
            "p_correct": round(self.calibration.leader(self.ending()).p, 4),
            "confidence_needed": round(sampling.plan.confidence, 4),
            "low_confidence": self.is_low,
            "semantic": not vote.is_keyed,
            "judged": self.judged is not None,
            "escalated": False,
        }


def row_of(vote: Vote, reason: StopReason = StopReason.EXHAUSTED) -> str:
    """Name the kind of agreement a vote is: by its answer type, apart where it is not one of spelled answers."""
    answer_type = str(vote.question.answer_type)
    if reason is StopReason.VERIFIED:
        return f"{answer_type}, verified"
    if reason is StopReason.SURE:
        return f"{answer_type}, sure of itself"
    return answer_type if vote.is_keyed else f"{answer_type}, similar texts"


def progress_text(progress: Progress) -> str:
    """Say how far the vote is."""
    if not progress.planned:
        return "Asking a stronger model.\n"
    if not progress.ended:
        return f"Sampling up to {progress.planned} answers.\n"
    return f"{progress.ended} of {progress.planned} samples, {progress.agree} agree\n"


def deltas_of(answer: Answer) -> Iterator[Delta]:
    """Spell a whole answer out as a stream, each choice's last delta with its finish reason."""
    for choice in answer.choices:
        at, content = choice.index, choice.content or ""
        for start in range(0, len(content), PIECE):
            yield Delta(
                index=at,
                content=content[start : start + PIECE],
                logprobs=choice.logprobs if start == 0 else None,
                provider_model=answer.provider_model,
            )
        if choice.refusal:
            yield Delta(index=at, refusal=choice.refusal)
        if choice.tool_calls:
            yield Delta(index=at, tool_calls=[{**call, "index": i} for i, call in enumerate(choice.tool_calls)])
        if choice.thinking_blocks or choice.state:
            yield Delta(index=at, thinking_blocks=choice.thinking_blocks, state=choice.state)
        yield Delta(index=at, finish_reason=choice.finish_reason)


def drop_streamed_text(answer: Answer) -> Answer:
    """Return the answer without the text that went out already."""
    answer.choices = [Choice(index=c.index, finish_reason=c.finish_reason) for c in answer.choices]
    return answer
