"""What a job does next: a pure function of its recipe, of what came so far, and of its bounds.

No clock, no randomness, no I/O, so that a process which takes a job over decides as the one that died would have. Call
it whenever something came: it names all that should be under way. No step costs or lasts more than what is left.
"""

from collections.abc import Iterable, Sequence

from router.jobs.recipes import Recipe
from router.jobs.steps import JobAction, JobBounds, JobDone, JobStage, JobStep, JobVerdict, finish_bounds
from router.jobs.trail import BROKEN_WAVES, JobEvent, Trail, action_name, sample_name
from router.tiers.parallel.sampling import FEW_READINGS
from router.tiers.parallel.stopping import Stop, can_be_accepted, check, is_hopeless, votes_needed

LONGEST_FORECAST = 16  # samples; what lies beyond them is not looked at
FINAL = frozenset({JobVerdict.ACCEPTED, JobVerdict.PROVEN, JobVerdict.ASIDE, JobVerdict.ANSWERED_NOW})


def next_step(recipe: Recipe, seen: Iterable[JobEvent], bounds: JobBounds) -> JobStep | JobDone:
    """Say what is done next after what was seen, or that the job is done."""
    return step_after(Trail.of(recipe, seen), bounds)


def step_after(trail: Trail, bounds: JobBounds) -> JobStep | JobDone:
    """Say the same of events that are added up already."""
    return _NextStep(trail, bounds).find()


class _NextStep:
    """One look at a trail."""

    def __init__(self, trail: Trail, bounds: JobBounds) -> None:
        self.trail = trail
        self.recipe = trail.recipe
        self.bounds = bounds
        self.left_s = bounds.limit_s - trail.at_s
        self.left_nanousd = None if bounds.largest_nanousd is None else bounds.largest_nanousd - trail.spent_nanousd
        self.short: JobVerdict | None = None  # what kept the job from something that it wanted to do

    def find(self) -> JobStep | JobDone:
        trail = self.trail
        if trail.is_answer_wanted and self._present_leader() is not None:
            return self._end(JobVerdict.ANSWERED_NOW)
        if trail.finishes:
            return self._finish(self._open_verdict())
        verdict = self._judge_samples()
        if verdict is None:
            if (step := self._sample()) is not None:
                return step
            verdict = self.short or self._open_verdict()
        is_doubted = verdict is JobVerdict.ACCEPTED and self.recipe.doubts
        if (verdict in FINAL and not is_doubted) or trail.is_answer_wanted:
            return self._end(verdict)
        return self._finish(verdict)

    # Samples

    def _judge_samples(self) -> JobVerdict | None:
        """Tell why no more samples are wanted; None where they are."""
        trail, recipe = self.trail, self.recipe
        if trail.proven is not None and self._usable() >= recipe.least:
            return JobVerdict.PROVEN
        if trail.is_between_waves and trail.readings.all >= FEW_READINGS:
            if trail.readings.are_mostly_asides and self._usable() >= recipe.least:
                return JobVerdict.ASIDE
            if trail.readings.are_mostly_silent and recipe.can_finish:
                return JobVerdict.UNDECIDED
        if self._usable() >= recipe.least and (trail.is_keyed or trail.readings.are_mostly_asides):
            verdict = self._judge_vote()
            if verdict is not None:
                return verdict
        if not trail.samples_left or trail.broken_waves >= BROKEN_WAVES:
            return self._open_verdict()
        return None

    def _judge_vote(self) -> JobVerdict | None:
        recipe, trail = self.recipe, self.trail
        remaining, (v1, v2) = self._samples_affordable(), trail.top
        may_finish = trail.is_between_waves and recipe.can_finish
        match check(v1, v2, remaining, recipe.confidence, at_wave_end=may_finish):
            case Stop.ACCEPTED:
                return JobVerdict.ACCEPTED if trail.is_keyed else JobVerdict.ASIDE
            case Stop.FUTILE:
                return JobVerdict.UNDECIDED
            case Stop.SETTLED if not (recipe.can_finish and can_be_accepted(v1, v2, remaining, recipe.confidence)):
                return JobVerdict.SETTLED
            case _:
                pass
        ahead = min(remaining, LONGEST_FORECAST)
        ended = trail.readings.all
        if may_finish and is_hopeless(v1, v2, ended, ahead, recipe.confidence, recipe.price_ratio):
            return JobVerdict.UNDECIDED
        return None

    def _sample(self) -> JobStep | None:
        """Go on with the wave, as far as money and time reach."""
        trail, names = self.trail, self.trail.wave_names
        actions = [
            JobAction(name, JobStage.SAMPLE, self._model_of(index), index)
            for index, name in enumerate(names, trail.wave_first)
        ]
        step = self._step(actions, self._reserve_nanousd())
        return step if step or self.trail.readable else self._step(actions)

    def _samples_affordable(self) -> int:
        """How many samples may still come, as far as the money reaches if they cost what those before did."""
        trail, left = self.trail, self.trail.samples_left
        if self.left_nanousd is None:
            return left
        each = -(-trail.spent_nanousd // max(len(trail.ended), 1))
        return min(left, max(0, self.left_nanousd - self._reserve_nanousd()) // each) if each else left

    def _reserve_nanousd(self) -> int:
        """What sampling leaves for what follows: at most half of all."""
        if self.bounds.largest_nanousd is None:
            return 0
        return min(finish_bounds(self.recipe, self.bounds), self.bounds.largest_nanousd // 2)

    def _model_of(self, index: int) -> str:
        return self.recipe.models[index % len(self.recipe.models)]

    def _usable(self) -> int:
        return len(self.trail.answering) + len(self.trail.asides)

    # What follows sampling

    def _finish(self, verdict: JobVerdict) -> JobStep | JobDone:
        """Try what the recipe has left to decide between candidates; the first that decides ends the job."""
        if self._leader() is None or not self.recipe.can_finish:
            return self._end(verdict)
        is_open = not self.trail.is_keyed
        return self._finish_open(verdict) if is_open else self._finish_vote(verdict)

    def _finish_vote(self, verdict: JobVerdict) -> JobStep | JobDone:
        recipe, trail = self.recipe, self.trail
        candidates = self._candidates()
        v1, v2 = trail.top
        if v1 and v1 >= votes_needed(v2, recipe.confidence):
            return self._finish_doubted(candidates)
        if recipe.judged and len(candidates) > 1 and v1 - v2 <= 1:
            if (step := self._step([self._compare(*candidates[:2])])) is not None:
                return step
            if (winner := self._winner(*candidates[:2])) is not None:
                return self._end(JobVerdict.JUDGED, winner)
        read = candidates[: recipe.verified] if candidates[0] not in trail.rejected else []
        if (step := self._step([self._act(JobStage.VERIFY, one) for one in read])) is not None:
            return step
        sound = [one for one in read if trail.faults.get(one) is False]
        if len(sound) == 1:
            return self._end(JobVerdict.VERIFIED, sound[0])
        faulty = [one for one in read or trail.rejected if one in trail.rejected or trail.faults.get(one)][
            : recipe.revised
        ]
        if (step := self._step([self._act(JobStage.REVISE, one) for one in faulty])) is not None:
            return step
        revised = self._revisions(faulty)
        places = [trail.cluster_of(one) for one in (*revised, *sound)]
        if revised and None not in places and len(set(places)) == 1:
            return self._end(JobVerdict.REVISED, revised[0])
        return self._synthesise([*sound, *revised, *candidates], verdict)

    def _finish_doubted(self, candidates: Sequence[str]) -> JobStep | JobDone:
        """Have what the vote accepted read for faults; only where one is found may another answer take its place."""
        leader, trail = candidates[0], self.trail
        if (step := self._step([self._act(JobStage.VERIFY, leader)])) is not None:
            return step
        if not trail.faults.get(leader):
            return self._end(JobVerdict.ACCEPTED, leader)
        if self.recipe.revised and (step := self._step([self._act(JobStage.REVISE, leader)])) is not None:
            return step
        revised = self._revisions([leader])
        if any(trail.cluster_of(one) == trail.cluster_of(leader) for one in revised):
            return self._end(JobVerdict.ACCEPTED, leader)
        return self._synthesise([*revised, *candidates], JobVerdict.ACCEPTED)

    def _finish_open(self, verdict: JobVerdict) -> JobStep | JobDone:
        recipe, trail = self.recipe, self.trail
        ranked, pairs = knock_out(trail.answering, trail.verdicts, recipe.judged if recipe.judge else 0)
        if (step := self._step([self._compare(*pair) for pair in pairs])) is not None:
            return step
        best = ranked[:1]
        if recipe.verified and (step := self._step([self._act(JobStage.VERIFY, one) for one in best])) is not None:
            return step
        faulty = [one for one in best if trail.faults.get(one)] if recipe.revised else []
        if (step := self._step([self._act(JobStage.REVISE, one) for one in faulty])) is not None:
            return step
        revised = self._revisions(faulty)
        if revised:
            verdict, best = JobVerdict.REVISED, revised
        elif any(one is not None for one in trail.verdicts.values()):
            verdict = JobVerdict.JUDGED
        return self._synthesise([*revised, *ranked], verdict, best[0] if best else None)

    def _synthesise(self, shown: Sequence[str], verdict: JobVerdict, champion: str | None = None) -> JobStep | JobDone:
        """Write an answer from several; a judge may still prefer the champion that it was written from."""
        recipe, trail = self.recipe, self.trail
        shown = list(dict.fromkeys(shown))[: recipe.synthesised]
        name = action_name(JobStage.SYNTHESISE, round_no=trail.round)
        if len(shown) > 0 and recipe.finisher is not None:
            action = JobAction(name, JobStage.SYNTHESISE, recipe.finisher, of=tuple(shown))
            if (step := self._step([action])) is not None:
                return step
        if not self._is_answer(name):
            was_open = verdict in (JobVerdict.UNDECIDED, JobVerdict.SAMPLED)
            return self._end(self.short if self.short and was_open else verdict, champion)
        if champion is not None and recipe.judge is not None and recipe.judged:
            if (step := self._step([self._compare(name, champion)])) is not None:
                return step
            if self._winner(name, champion) == champion:
                return self._end(verdict, champion)
        return self._end(JobVerdict.SYNTHESISED, name)

    def _compare(self, first: str, second: str) -> JobAction:
        assert self.recipe.judge is not None
        of = (first, second)
        return JobAction(action_name(JobStage.JUDGE, of), JobStage.JUDGE, self.recipe.judge, of=of)

    def _act(self, stage: JobStage, answer: str) -> JobAction:
        assert self.recipe.finisher is not None
        return JobAction(action_name(stage, (answer,)), stage, self.recipe.finisher, of=(answer,))

    def _winner(self, first: str, second: str) -> str | None:
        won = self.trail.verdicts.get(action_name(JobStage.JUDGE, (first, second)))
        return None if won is None else (first, second)[won]

    def _revisions(self, faulty: Sequence[str]) -> list[str]:
        names = (action_name(JobStage.REVISE, (one,)) for one in faulty)
        return [name for name in names if self._is_answer(name)]

    def _is_answer(self, name: str) -> bool:
        return name in self.trail.readable

    # Steps and ends

    def _step(self, actions: Sequence[JobAction], kept_nanousd: int = 0) -> JobStep | None:
        """Take those actions that have not ended, as many as money and time reach for; None where none is left."""
        wanted = [action for action in actions if action.name not in self.trail.ended]
        if not wanted:
            return None
        in_time = self._in_time(actions)
        timely = [action for action in actions[:in_time] if action.name not in self.trail.ended]
        if not timely or self.left_s <= 0:
            self.short = JobVerdict.OUT_OF_TIME
            return None
        chosen = self._affordable(timely, kept_nanousd)
        if not chosen:
            self.short = JobVerdict.OUT_OF_MONEY
            return None
        seconds = max(self.bounds.of(action.stage, action.model).seconds for action in chosen)
        rounds = -(-len(chosen) // self.bounds.at_once)
        return JobStep(chosen[0].stage, tuple(chosen), self.bounds.cost(chosen), min(self.left_s, seconds * rounds))

    def _in_time(self, actions: Sequence[JobAction]) -> int:
        """How many of actions that begin together end in time, so many at once as bounds allow."""
        left = self.bounds.limit_s - self.trail.began_s(action.name for action in actions)
        seconds = max(self.bounds.of(action.stage, action.model).seconds for action in actions)
        return len(actions) if seconds <= 0 else int(left // seconds) * self.bounds.at_once

    def _affordable(self, actions: Sequence[JobAction], kept_nanousd: int) -> list[JobAction]:
        """The first of the actions that money reaches for if each costs its most."""
        if self.left_nanousd is None:
            return list(actions)
        left, chosen = self.left_nanousd - kept_nanousd, list[JobAction]()
        for action in actions:
            left -= self.bounds.cost([action])
            if left < 0:
                break
            chosen.append(action)
        return chosen

    def _candidates(self) -> list[str]:
        """The first answer of each cluster, the leader's first, then those without a vote; else what is no answer."""
        trail = self.trail
        ranked = [sample_name(cluster.members[0]) for cluster in trail.tally.ranked]
        unread = [one for one in trail.answering if trail.answers[one].key is None]
        return [*ranked, *unread] or [*trail.asides, *trail.rejected]

    def _leader(self) -> str | None:
        """The answer of this round that stands first, as far as samples tell."""
        trail = self.trail
        if trail.proven is not None:
            return trail.proven
        if trail.readings.are_mostly_asides:
            return trail.asides[0]
        ranked = self._candidates() if trail.is_keyed else trail.answering
        return next(iter((*ranked, *trail.asides, *trail.rejected)), None)

    def _present_leader(self) -> str | None:
        """The answer that would be given now: of this round, else the latest of those before."""
        trail = self.trail
        synthesis = action_name(JobStage.SYNTHESISE, round_no=trail.round)
        if self._is_answer(synthesis):
            return synthesis
        if not trail.is_keyed:
            ranked, _ = knock_out(trail.answering, trail.verdicts, self.recipe.judged)
            if ranked:
                return ranked[0]
        leader = self._leader()
        return leader if leader is not None else (trail.readable[-1] if trail.readable else None)

    def _open_verdict(self) -> JobVerdict:
        """What a job comes to whose samples have not decided."""
        if not self.trail.readable:
            return JobVerdict.FAILED
        is_counted = self.recipe.samples <= self.recipe.least or (self.recipe.is_open and not self.trail.is_keyed)
        return JobVerdict.SAMPLED if is_counted else JobVerdict.UNDECIDED

    def _end(self, verdict: JobVerdict, answer: str | None = None) -> JobDone:
        answer = answer or self._present_leader()
        if answer is None:
            return JobDone(JobVerdict.FAILED if verdict not in _SHORT else verdict, None)
        ranked = [sample_name(member) for cluster in self.trail.tally.ranked for member in cluster.members]
        others = [one for one in dict.fromkeys((*ranked, *self.trail.answering, *self.trail.asides)) if one != answer]
        return JobDone(verdict, answer, tuple(others[: max(self.recipe.least - 1, 3)]))


_SHORT = (JobVerdict.OUT_OF_MONEY, JobVerdict.OUT_OF_TIME)


def knock_out(
    answers: Sequence[str], verdicts: dict[str, int | None], most: int
) -> tuple[list[str], list[tuple[str, str]]]:
    """Rank answers by comparisons in rounds, at most so many; also the pairs still to compare, none once it is over.

    Where a judge cannot tell, the earlier answer goes on.
    """
    alive, beaten = list(answers), list[str]()
    while len(alive) > 1:
        pairs = list(zip(alive[::2], alive[1::2], strict=False))
        most -= len(pairs)
        if most < 0:
            break
        names = [action_name(JobStage.JUDGE, pair) for pair in pairs]
        if waiting := [pair for pair, name in zip(pairs, names, strict=True) if name not in verdicts]:
            return [*alive, *beaten], waiting
        won = [pair[verdicts[name] or 0] for pair, name in zip(pairs, names, strict=True)]
        lost = [one for pair in pairs for one in pair if one not in won]
        alive, beaten = won + alive[len(pairs) * 2 :], lost + beaten
    return [*alive, *beaten], []
