"""What a provider's failure means: the table of `causes.toml`, from (family, status, code, words) to our cause. Pure.

Statuses alone lie: a bad key comes with 400, a rate limit with 413, no credit with 403 or 429, anything at all with
200. So codes and words are looked at first, the status last.
"""

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from router.errors import Cause


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: all that is named must hold; what is None holds always."""

    cause: Cause
    families: frozenset[str] | None
    statuses: frozenset[int] | None
    codes: frozenset[str] | None
    words: re.Pattern[str] | None
    another_may_do: bool | None

    def holds(self, family: str, status: int, codes: frozenset[str], words: str) -> bool:
        """Tell whether this row speaks of such a failure."""
        return (
            (self.families is None or family in self.families)
            and (self.statuses is None or status in self.statuses)
            and (self.codes is None or not self.codes.isdisjoint(codes))
            and (self.words is None or self.words.search(words) is not None)
        )


@dataclass(frozen=True, slots=True)
class FailureJudgement:
    """What is to be done about a failure: its cause, and whether another model may do."""

    cause: Cause
    another_may_do: bool


# What is wrong with the request is wrong everywhere, and what one provider does not answer on grounds of policy is not
# asked of the next one.
FINAL = frozenset({Cause.BAD_REQUEST, Cause.CONTENT_FILTER})
# Names in quotes are the caller's (of a tool, of a field) and say nothing about the failure.
_QUOTED_NAMES = re.compile(r"""(['"`])[\w.\-\[\]/:]{1,80}\1""")


def judge(family: str, status: int, codes: Collection[str], words: str) -> FailureJudgement:
    """Return what a failure means; `status` is 200 where the error came in place of an answer and names none."""
    known = frozenset(code.lower() for code in codes)
    words = _QUOTED_NAMES.sub(" ", words)
    for row in table():
        if row.holds(family, status, known, words):
            return FailureJudgement(
                row.cause, row.cause not in FINAL if row.another_may_do is None else row.another_may_do
            )
    return FailureJudgement(Cause.UNKNOWN, True)


@cache
def table() -> tuple[Row, ...]:
    """Read the table, when the first failure is to be judged."""
    read = tomllib.loads(files("router.providers").joinpath("causes.toml").read_text("utf-8"))
    return tuple(_row(row, read["lists"]) for row in read["rows"])


def _row(row: dict[str, Any], lists: dict[str, list[str]]) -> Row:
    words = row.get("words")
    patterns = lists[words] if isinstance(words, str) else words
    statuses = range(row["from"], row["to"] + 1) if "from" in row else row.get("statuses")
    return Row(
        Cause(row["cause"]),
        frozenset(row["families"]) if "families" in row else None,
        frozenset(statuses) if statuses is not None else None,
        frozenset(row["codes"]) if "codes" in row else None,
        re.compile("|".join(patterns), re.IGNORECASE) if patterns else None,
        row.get("another_may_do"),
    )
