"""A job on recorded answers: quoted, then played through the steps that a real one takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random

from classifier.types import Estimate
from router.decision.costs import FixedEvidence
from router.jobs.calibration import JobCalibration, PastJob, kind_of
from router.jobs.next_step import step_after
from router.jobs.outlooks import CallOutlook, OutlookMaker, QuotedQuery
from router.jobs.quote import Chances, JobQuote, quote_job
from router.jobs.recipes import RecipeCast, RecipeFacts, RecipeName, RecipeWish, choose_recipe
from router.jobs.steps import (
    CallBound,
    JobAction,
    JobBounds,
    JobDone,
    JobStage,
    JobStep,
    JobVerdict,
    call_name,
    most_of,
)
from router.jobs.trail import AnswerCame, FaultSought, JobEvent, Trail, VerdictCame
from router.ledger.prices import Price, PriceBook, Rates
from router.providers.base import ModelTarget
from router.tiers.vote.keys import VoteKey
from router.tiers.vote.readings import Said
from router.types import Tier, Usage
from scripts.benchmarks.quotes.recorded import Question, RecordedAnswer, seconds_of, speed_of

SMALL, LARGE = Rates(input=50_000, output=400_000), Rates(input=250_000, output=2_000_000)
LONGEST_TOKENS = 16_384
CALL_S, LIMIT_S, AT_ONCE = 120.0, 1_800.0, 16
VERDICT_TOKENS = 8


@dataclass(frozen=True, slots=True)
class PlayedJob:
    """What a job was told and what it came to."""

    question: str
    source: str
    kind: str
    quote: JobQuote
    seconds: float
    cost_nanousd: int
    verdict: JobVerdict
    is_right: bool
    first_score: float  # how often the first model's answer to the question was right

    @property
    def past(self) -> PastJob:
        """As later quotes learn from it."""
        quote = self.quote
        return PastJob(self.kind, quote.told_seconds, self.seconds, quote.told_cost, self.cost_nanousd)


class Replay:
    """One question as one job."""

    def __init__(self, question: Question, estimate: Estimate, name: RecipeName, seed: int) -> None:
        self.question = question
        self._random = Random(f"{seed} {question.id} {name}")
        self._by_model = {one.model: one for one in question.cheap} | {question.finisher.model: question.finisher}
        self._estimate = estimate
        cheap = tuple(one.model for one in question.cheap)
        finisher = question.finisher.model
        cast = RecipeCast(dict.fromkeys(Tier, finisher), cheap, finisher, finisher, vote_samples=8)
        facts = RecipeFacts(Tier.PARALLEL, estimate.answer_type, p_sampled=estimate.p_fast)
        self.recipe = choose_recipe(RecipeWish(name), facts, cast)
        self._prices = PriceBook(
            Price(number, model, 0, None, "made up", (LARGE if model == finisher else SMALL,))
            for number, model in enumerate(self._by_model)
        )
        self._right: dict[str, bool] = {}

    def play(self, calibration: JobCalibration) -> PlayedJob:
        """Quote the job, then take its steps until it is done."""
        bounds = self._bounds()
        quote = quote_job(self.recipe, bounds, self._outlooks(), self._chances(), calibration)
        held = JobBounds(quote.largest_nanousd, bounds.limit_s, bounds.calls, AT_ONCE)
        trail, done = self._run(held)
        is_right = done.answer is not None and self._right[done.answer]
        return PlayedJob(
            self.question.id,
            self.question.source,
            kind_of(self.recipe),
            quote,
            trail.at_s,
            trail.spent_nanousd,
            done.verdict,
            is_right,
            self.question.cheap[0].score,
        )

    def _run(self, bounds: JobBounds) -> tuple[Trail, JobDone]:
        trail, now_s = Trail(self.recipe), 0.0
        under_way: list[tuple[float, str, JobEvent]] = []
        while isinstance(step := step_after(trail, bounds), JobStep):
            wanted = {action.name for action in step.actions}
            under_way = sorted(one for one in under_way if one[1] in wanted)
            begun = {name for _, name, _ in under_way}
            for action in [one for one in step.actions if one.name not in begun][: AT_ONCE - len(under_way)]:
                ends_s, event = self._begin(action, now_s)
                heappush(under_way, (ends_s, action.name, event))
            now_s, _, event = heappop(under_way)
            trail.note(event)
        return trail, step

    def _begin(self, action: JobAction, now_s: float) -> tuple[float, JobEvent]:
        answer = self._by_model[action.model]
        tokens = VERDICT_TOKENS if action.stage is JobStage.JUDGE else answer.tokens
        shown = sum(self._tokens_of(name) for name in action.of)
        calls = 2 if action.stage is JobStage.JUDGE else 1
        usage = Usage(input_fresh=self._input_tokens + shown, output_visible=min(tokens, LONGEST_TOKENS))
        price = self._prices.in_effect(action.model, 0)
        assert price is not None
        ends_s = now_s + min(seconds_of(action.model, tokens, self._random), CALL_S)
        return ends_s, self._event(action, answer, ends_s, calls * price.cost(usage))

    def _event(self, action: JobAction, answer: RecordedAnswer, at_s: float, cost: int) -> JobEvent:
        match action.stage:
            case JobStage.JUDGE:
                first, second = (self._right[name] for name in action.of)
                knows = self._random.random() < answer.score
                won = None if not knows else int(second and not first)
                return VerdictCame(action.name, at_s, cost, won)
            case JobStage.VERIFY:
                knows = self._random.random() < max(answer.score, 0.5)
                return FaultSought(action.name, at_s, cost, self._right[action.of[0]] is not knows)
            case _:
                is_right = self._right[action.name] = self._random.random() < answer.score
                key = "right" if is_right else "wrong" if self._random.random() < 0.5 else action.name
                if self.recipe.is_open:
                    return AnswerCame(action.name, at_s, cost, Said.UNREADABLE)
                return AnswerCame(action.name, at_s, cost, Said.ANSWER, VoteKey("entity", key))

    def _tokens_of(self, name: str) -> int:
        cheap = self.question.cheap
        return cheap[int(name[1:]) % len(cheap)].tokens if name[0] == "s" else self.question.finisher.tokens

    @property
    def _input_tokens(self) -> int:
        return len(self.question.text.encode()) // 4 + 100

    def _bounds(self) -> JobBounds:
        calls = {}
        for stage, model in self._calls():
            price = self._prices.in_effect(model, 0)
            assert price is not None
            most = price.hold(4 * self._input_tokens + 8_000, LONGEST_TOKENS)
            calls[call_name(stage, model)] = CallBound(most * (2 if stage is JobStage.JUDGE else 1), CALL_S)
        bounds = JobBounds(None, LIMIT_S, calls, AT_ONCE)
        return JobBounds(most_of(self.recipe, bounds), LIMIT_S, calls, AT_ONCE)

    def _calls(self) -> list[tuple[JobStage, str]]:
        found = [(JobStage.SAMPLE, model) for model in self.recipe.models]
        found += [(stage, self.recipe.finisher) for stage in JobStage if self.recipe.finisher is not None]
        return found + ([(JobStage.JUDGE, self.recipe.judge)] if self.recipe.judge is not None else [])

    def _outlooks(self) -> Mapping[str, CallOutlook]:
        maker = OutlookMaker(
            self._prices,
            lambda: FixedEvidence().shown,
            lambda target, tokens: tokens / speed_of(target.name),
            lambda: 0,
        )
        query = QuotedQuery(self._estimate, Tier.PARALLEL, self._input_tokens)
        return maker.of_recipe(self.recipe, query, lambda stage, model: ModelTarget(model))

    def _chances(self) -> Chances:
        estimate = self._estimate
        return Chances.of(estimate.p_fast, estimate.p_fast, estimate.p_reasoning, estimate.uncertainty)
