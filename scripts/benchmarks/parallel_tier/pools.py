"""The recorded pools: many samples of one question, each known to be right or wrong."""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from classifier.types import AnswerType
from router.tiers.vote.formulas import evaluate

ORIGINALS = """\
codet_humaneval  microsoft/CodeT (HumanEval, 100 CodeGen-16B programs a task, model-written tests)
tot_game24       princeton-nlp/tree-of-thought-llm (GPT-4, 100 puzzles x 100 samples, logs/game24)
qwen25_math_rm8  QwenLM/Qwen2.5-Math (MATH, 8 samples of 100 questions with reward-model scores)
rgym_samples     open-thought/reasoning-gym-eval (three scored samples per question and model)"""


@dataclass(frozen=True, slots=True)
class Item:
    """One question and its recorded samples. `strong` is whether the strong answer is right, where there is one.

    `strong_marks` are its single samples, where there are some and an answer can be told apart from others.
    """

    id: str
    question: str
    texts: list[str]
    correct: list[bool]
    answer_type: AnswerType
    strong: float | None = None
    bits: dict[str, str] = field(default_factory=dict)
    strong_marks: tuple[bool, ...] = ()


def qwen_maths(root: Path) -> list[Item]:
    """MATH by Qwen2.5-Math."""
    rows = [json.loads(line) for line in _text(root / "qwen25_math_rm8/math_cot_100.jsonl").splitlines()]
    return [
        Item(str(r["idx"]), r["question"], r["code"], [bool(s) for s in r["score"]], AnswerType.NUMERIC) for r in rows
    ]


def game24(kind: str) -> Callable[[Path], list[Item]]:
    """The game of 24 by GPT-4; the strong answer is the first leaf of the recorded tree search."""
    names = {"cot": "naive_cot_sample_100", "io": "naive_standard_sample_100", "tree": "propose1_value3_greedy5"}

    def load(root: Path) -> list[Item]:
        folder = root / "tot_game24"
        puzzles = [r["Puzzles"] for r in csv.DictReader(_text(folder / "24.csv").splitlines())]
        rows = json.loads(_text(folder / f"gpt-4_0.7_{names[kind]}_start900_end1000.json"))
        trees = json.loads(_text(folder / f"gpt-4_0.7_{names['tree']}_start900_end1000.json"))
        strong = {t["idx"]: float(t["infos"][0]["r"]) for t in trees}
        items = []
        for row in rows:
            numbers = puzzles[row["idx"]]
            question = f"Use the numbers and basic arithmetic operations (+ - * /) to obtain 24.\nInput: {numbers}"
            correct = [_makes_24(text, numbers) for text in row["ys"]]
            items.append(
                Item(str(row["idx"]), question, row["ys"], correct, AnswerType.NUMERIC, strong.get(row["idx"]))
            )
        return items

    return load


def humaneval(root: Path) -> list[Item]:
    """HumanEval by CodeGen-16B, with the recorded outcome of 20 model-written tests per program."""
    folder = root / "codet_humaneval"
    name = "HumanEval_codegen16B_temp0.8_topp0.95_num100_max300_code_solution.jsonl"
    written = [json.loads(line) for line in _text(folder / name).splitlines()]
    runs = [json.loads(line) for part in (0, 1) for line in _text(folder / f"exec_{part}.jsonl").splitlines()]
    by_task = {r["task_id"]: r for r in runs}
    tasks = {row["prompt"]: row["task_id"] for row in _tasks(root)}  # the programs stand in another order
    items = []
    for row in written:
        run = by_task.get(tasks[row["prompt"]])
        if run is None:
            continue
        unique = [run["unique"][u] for u in run["sample_to_unique"]]
        texts = [f"```python\n{row['prompt']}{sample}\n```" for sample in row["samples"]]
        bits = {text: u["bits"] for text, u in zip(texts, unique, strict=True)}
        items.append(
            Item(run["task_id"], row["prompt"], texts, [bool(u["gold"]) for u in unique], AnswerType.CODE, None, bits)
        )
    return items


def _tasks(root: Path) -> list[dict[str, str]]:
    """The tasks of HumanEval, with their tests."""
    text = _text(root / "codet_humaneval/HumanEval_for_code_generation.jsonl")
    return [json.loads(line) for line in text.splitlines()]


def humaneval_with_tests(root: Path) -> list[Item]:
    """The same programs, their questions with two of the tests that decide whether a program is right."""
    rows = [
        json.loads(line) for line in _text(root / "codet_humaneval/HumanEval_for_code_generation.jsonl").splitlines()
    ]
    brought = {}
    for row in rows:
        lines = [line.strip() for line in row["test"].splitlines()]
        tests = [line.replace("candidate(", f"{row['entry_point']}(") for line in lines if _IS_TEST.fullmatch(line)]
        brought[row["prompt"]] = tests[:2]
    return [
        replace(item, question="\n".join([item.question, "It has to pass:", *brought[item.question]]))
        for item in humaneval(root)
        if brought.get(item.question)
    ]


def reasoning_gym(cheap: list[str], strong: str, *, wrong_agree: bool) -> Callable[[Path], list[Item]]:
    """Three samples each of three models, of which only scores are recorded.

    Which wrong answers are the same is not known: all of them (`wrong_agree`) and none of them are the two bounds.
    """

    def load(root: Path) -> list[Item]:
        import pyarrow.parquet as pq

        scores: dict[str, dict[str, list[float]]] = defaultdict(dict)
        for row in pq.read_table(root.parent / "outcomes/rgym_samples.parquet").to_pylist():
            scores[row["query_id"]][row["model"]] = [float(s) for s in row["sample_scores"].split(";")]
        items = []
        for query, by_model in sorted(scores.items()):
            three = [by_model[m] for m in cheap if len(by_model.get(m, ())) == 3]
            if len(three) < len(cheap) or len(by_model.get(strong, ())) != 3:
                continue
            samples = [scores_of[i] for i in range(3) for scores_of in three]
            correct = [s >= 0.999 for s in samples]
            texts = [
                "Answer: right" if ok else f"Answer: wrong {'' if wrong_agree else n}" for n, ok in enumerate(correct)
            ]
            marks = tuple(s >= 0.999 for s in by_model[strong])
            items.append(Item(query, query, texts, correct, AnswerType.ENTITY, sum(marks) / 3, strong_marks=marks))
        return items

    return load


_IS_TEST = re.compile(r"assert candidate\(.*")
WEAK = ["google_gemma-3-27b-it", "mistralai_mistral-small-3.1-24b-instruct", "meta-llama_llama-3.3-70b-instruct"]
MIDDLE = ["meta-llama_llama-4-maverick", "anthropic_claude-3.5-sonnet", "anthropic_claude-sonnet-4"]
STRONG = "openai_o3-mini"

VOTED: dict[str, Callable[[Path], list[Item]]] = {
    "MATH, Qwen2.5-Math": qwen_maths,
    "game of 24, GPT-4 step by step": game24("cot"),
    "game of 24, GPT-4 direct": game24("io"),
    "HumanEval, CodeGen-16B, tests": humaneval,
}
CASCADES: dict[str, Callable[[Path], list[Item]]] = {
    "middle models to o3-mini, wrong answers differ": reasoning_gym(MIDDLE, STRONG, wrong_agree=False),
    "middle models to o3-mini, wrong answers agree": reasoning_gym(MIDDLE, STRONG, wrong_agree=True),
    "weak models to o3-mini, wrong answers differ": reasoning_gym(WEAK, STRONG, wrong_agree=False),
    "weak models to o3-mini, wrong answers agree": reasoning_gym(WEAK, STRONG, wrong_agree=True),
}


def _makes_24(text: str, numbers: str) -> bool:
    """Check a last line "Answer: formula = 24" exactly: every number once, and 24."""
    formula = text.strip().split("\n")[-1].lower().replace("answer:", "").split("=")[0].strip()
    if not re.fullmatch(r"[0-9+\-*/() ]+", formula) or sorted(re.findall(r"\d+", formula)) != sorted(numbers.split()):
        return False
    return evaluate(formula) == Fraction(24)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
