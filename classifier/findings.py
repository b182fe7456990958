"""The words of docs/routing-quality.md that are not figures: how it was measured, and what did not help."""

INTRODUCTION = """# Routing quality

Written by `scripts/evaluate`; do not edit by hand. Artefact {version}.

**How it was measured.** "Cross-fitted" figures fit the whole recipe five times, each time without a fifth of the
queries (without whole tasks where texts come from templates), and estimate that fifth. Penalties and
weights of the experts were chosen over train and dev split together; most, not all, were gone over again on the
training split alone and stayed. Signals of the question, the made-up wording and the priors for 50 labels were compared
on the training split. How the weight of texts of unknown kind is bent was compared there too, but chosen anew after one
look at a whole run of this report, so these rows are not wholly blind. The section on the development split shows the
shipped artefact, fitted on the training split without the held-out tasks, on rows that it has not seen.
Need means that the weak model fails and the strong one succeeds. Intervals are 95 % bootstrap, drawn by query, or by
task for templates. Models are placed by name (`ability_of`); a group's figure is the mean of its pairs.
The classifier ranks by p_reasoning - p_fast, the score that routing uses.

**Where a bar speaks of data that is kept aside** (the RouteLLM pair on MMLU), the nearest development figure stands in
its place: MMLU-Pro questions and two of its pairs, which are harder to tell apart (TF-IDF on the same labels is shown
beside it).
"""

TRIED = """## What was tried and did not help

Mean AUROC of need over the two pairs of a source, five folds, score = gain unless said otherwise.

| tried | code | maths | exam |
|---|---|---|---|
| two heads on IRT-smoothed targets, words and 20 surface signals | .629 | .598 | .627 |
| one dimension for code and maths (kept), 38 signals | .636 | .616 | .631 |
| words alone, no surface signals | .598 | .557 | .610 |
| no IRT smoothing | .621 | .579 | .624 |
| IRT alone | .629 | .598 | .619 |
| signals of layout by regular expressions (indentation, calls, commands) | .629 | .594 | .630 |
| single letters and digits as words | .631 | .593 | .629 |
| radial kernel over surface signals | .627 | .597 | .633 |
| squared or exponential kernel over words | .632 | .598 | .631 |
| other sources' queries in the kernel at .3 | .631 | .594 | .624 |
| n-grams seen once kept (exam: IRT alone) | .628 | .599 | .617 |
| stronger penalty (10 for 3) | .625 | .602 | .619 |
| whole recipe with one idf and one scale for all sources | .625 | .592 | .625 |
| whole recipe with a gate left as soft as it was fitted | .629 | .595 | .625 |

Settled on the training split alone (five folds; pairs and figures as above, puzzles by whole unseen task):

| tried | code | maths | exam | puzzles |
|---|---|---|---|---|
| signals of the whole text only | .642 | .588 | .628 | .588 |
| question and options told apart | .641 | .597 | .633 | .598 |
| and the question's sentences (kept) | .643 | .606 | .633 | .606 |
| and the sizes of numbers, last lines, nesting and calls | .642 | .601 | .631 | .611 |
| kept signals, unknown kinds judged by length, weight as fitted | .644 | .588 | .631 | .618 |
| the same, square root of the weight | .643 | .595 | .632 | .623 |
| the same, weight 0 up to .1 and 1 from .6 on (kept: calibrated best) | .643 | .589 | .632 | .621 |
| the same, share of known n-grams for a measure of the known (.5 to .95) | .646 | .589 | .626 | .612 |

| source left out, need AUROC / APGR | code | maths | exam |
|---|---|---|---|
| experts and gate alone | .541 / .545 | .528 / .515 | .489 / .486 |
| share of known n-grams (.5 to .95) | .559 / .558 | .535 / .522 | .593 / .559 |
| unknown kinds judged by length, weight as fitted | .555 / .552 | .547 / .534 | .592 / .558 |
| the same, square root of the weight | .548 / .550 | .542 / .532 | .577 / .546 |
| the same, weight 0 up to .1 and 1 from .6 on (kept) | .541 / .546 | .545 / .532 | .595 / .560 |
| ridge on all signals, fitted within the other sources | .560 | .586 | .484 |
| length of the question alone | .593 | .549 | .589 |

Left to itself the length of the question, without the answers offered, is the one signal that points the same way in
code, maths and exams; every learnt combination of signals loses on one of them. In puzzles it points nowhere.
Subjects of the exam left out in turn (.574 / .539 by the experts) are worse off with length alone (.51), which is why
the weight is learnt: a subject that is new is not a kind that is new.

When labels of a new source are there, adding the base's score to the ranking learned from them changes nothing:
over three groups of exam subjects held out of the base, APGR with 700-850 labels is .579 from the labels alone, .575
stacked with the base, .579 as a correction of the base. Below 200 labels only the level can be learned.

Ranking by (1 - p_fast) * p_reasoning gains about .004 on the exam pairs; routing keeps the gain, which is what an
answer is worth.

**Why the ranking stops here.** An observer that knows the actual results of the other models (12 to 49 of them) on the
very same question reaches .69-.72 on the exam pairs, .77-.78 on maths and .84-.87 on code; text alone, in everything
tried here and in the exploration before (embeddings, MiniLM, gradient boosting, neighbours), stays within .01 of the
figures above. With about 500 questions the standard error of one source's AUROC is .025.

## Limits

- Thinking tokens were not recorded: the reasoning tier's length forecast adds an assumed 300 to 6,000 thinking tokens,
  growing with difficulty. Its interval is wide for that reason.
- No outcomes in other languages and none of whole conversations were recorded. Unfamiliar text is drawn towards an
  average estimate and its uncertainty grows; earlier turns, code blocks, attachments and tool calls move both tiers by
  a small bounded amount set by hand.
- CPU time was taken on two cores shared with a dozen busy processes. On a quiet machine the version before this one
  took .075 / .113 / .218 ms at 20 / 200 / 1,000 tokens; signals of the question and the measure of the known cost about
  .010 ms more, so that the bar at 20 tokens is missed there too. Some hundred numpy calls of .3 to 1 us each are what
  a short text costs.
- One number places a model on all kinds of question; models with a speciality (a small model good at maths) are
  misjudged there until labels of one's own traffic say better.
"""
