"""Reads recorded outcomes (query x model -> score) into arrays. For training and evaluation only: needs pyarrow.

Nothing of these texts is shipped; only numbers fitted on rows whose `use` is "train" are.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

ORIGINALS = (
    "TIGER-AI-Lab/MMLU-Pro (eval_results), open-thought/reasoning-gym-eval, WildEval/ZeroEval (result_dirs), "
    "tatsu-lab/alpaca_eval (results), lmarena/arena-hard-auto"
)
DEFAULT_DIRECTORY = Path("../shared/data/outcomes")

Scores = npt.NDArray[np.float64]


class CorpusMissing(Exception):
    """The recorded outcomes are not where they were looked for."""


@dataclass(frozen=True, slots=True)
class Query:
    """One recorded question and which part of the data it belongs to."""

    query_id: str
    source: str
    task: str
    domain: str
    text: str
    split: str  # train | dev, or another name in data kept aside
    use: str  # train | evaluate-only | lengths-only
    is_holdout_task: bool

    @property
    def cluster(self) -> str:
        """What folds keep together and a bootstrap draws: the task where texts are templates, else the query itself.

        The easy and the hard variant of a generator share their wording, so they share a cluster.
        """
        return f"template/{self.task}" if is_templated(self.source) else self.query_id


def is_templated(source: str) -> bool:
    """Whether the source's texts come from generators, so that neighbours share their wording."""
    return source.startswith("rgym")


@dataclass(frozen=True, slots=True)
class Corpus:
    """Queries in rows, models in columns; NaN where a model has no score or no length for a query."""

    queries: tuple[Query, ...]
    models: tuple[str, ...]
    scores: Scores
    output_tokens: Scores
    digest: str  # of the files read

    def column(self, model: str) -> int:
        """The column of a model by its recorded name."""
        return self.models.index(model)

    def mean_output_tokens(self) -> Scores:
        """The mean length of each query's recorded answers, in tokens; zero where none was recorded."""
        counts = np.isfinite(self.output_tokens).sum(axis=1)
        return np.asarray(np.nansum(self.output_tokens, axis=1) / np.maximum(counts, 1))

    def where(self, keep: npt.NDArray[np.bool_]) -> "Corpus":
        """The part of the corpus whose queries are kept."""
        chosen = tuple(query for query, is_kept in zip(self.queries, keep.tolist(), strict=True) if is_kept)
        return Corpus(chosen, self.models, self.scores[keep], self.output_tokens[keep], self.digest)

    def of(
        self, *, sources: Sequence[str] = (), use: str = "", split: str = "", holdout: bool | None = None
    ) -> "Corpus":
        """Rows by source, use, split and whether their task is held out; what is not given is not asked."""
        keep = [
            (not sources or query.source in sources)
            and (not use or query.use == use)
            and (not split or query.split == split)
            and (holdout is None or query.is_holdout_task == holdout)
            for query in self.queries
        ]
        return self.where(np.array(keep, np.bool_))


def read(directory: Path) -> Corpus:
    """Read `queries.parquet` and `outcomes.parquet`, or raise CorpusMissing and say where the originals are."""
    if find_spec("pyarrow") is None:
        raise CorpusMissing("recorded outcomes are read with pyarrow, which is not installed")
    import pyarrow.parquet as parquet

    paths = [directory / "queries.parquet", directory / "outcomes.parquet"]
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise CorpusMissing(f"no {' and '.join(missing)}; the originals are published as {ORIGINALS}")
    table = parquet.read_table(paths[0]).to_pylist()
    queries = tuple(
        Query(
            row["query_id"], row["source"], row["task"], row["domain"], row["text"], row["split"],
            row["use"], bool(row["task_holdout"]),
        )
        for row in sorted(table, key=lambda row: str(row["query_id"]))
    )  # fmt: skip
    row_of = {query.query_id: at for at, query in enumerate(queries)}
    outcomes = [row for row in parquet.read_table(paths[1]).to_pylist() if row["query_id"] in row_of]
    models = tuple(sorted({row["model"] for row in outcomes}))
    column_of = {model: at for at, model in enumerate(models)}
    sums = np.zeros((2, len(queries), len(models)))
    counts = np.zeros_like(sums)
    for row in outcomes:
        cell = row_of[row["query_id"]], column_of[row["model"]]
        for kind, value in enumerate((row["score"], _tokens(row))):
            if value is not None:
                sums[(kind, *cell)] += value
                counts[(kind, *cell)] += 1
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return Corpus(queries, models, means[0], means[1], _digest(paths))


def _tokens(row: dict[str, float | None]) -> float | None:
    """Output tokens as recorded, or the usual 3.6 characters to a token."""
    if row["output_tokens"] is not None:
        return row["output_tokens"]
    return None if row["output_chars"] is None else row["output_chars"] / 3.6


def _digest(paths: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()
