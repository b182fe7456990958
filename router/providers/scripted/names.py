"""Behaviour by name: `scripted/assistant-20ms-5gap` is a script. Pure.

Words, separated by `-` after the provider's prefix:

  echo            repeats the last user message
  solver          works out a sum in the question and ends with an `Answer:` line, right in NNpct of the seeds
  anything else   is an assistant: plausible sentences, a function of the messages and the seed

  20ms            waits 20 ms before the first byte      5gap     waits 5 ms between chunks
  50c             cuts the answer into 50 chunks (else one per token)
  think           thinks even when not asked to          cached   half of the input counts as cached
  caching         keeps what it read for five minutes, as OpenAI's cache does; what comes again counts as cached
  30pct           faults apply to 30 % of the calls (for a solver: 30 % of the answers are right)

  fail-429 fail-503 fail-500 fail-400 fail-401   that refusal before the first byte
  fail-context    the input is too long                  fail-connect   nobody listens
  fail-timeout    no answer in time                      fail-midstream half of the answer, then a broken connection
  hang            never answers                          malformed      half of the answer, then nonsense
  no-usage        reports no usage
"""

import re
from dataclasses import dataclass, replace
from functools import cache

FAULTS = {"context", "connect", "timeout", "midstream"}


@dataclass(frozen=True, slots=True)
class Script:
    """What a name asks for. `fault` is a status, a word of FAULTS, hang or malformed."""

    name: str
    kind: str = "assistant"
    first_byte_ms: int = 0
    gap_ms: int = 0
    chunks: int | None = None
    percent: int = 100
    fault: str | None = None
    thinks: bool = False
    is_cached: bool = False
    keeps_cache: bool = False
    reports_usage: bool = True


@cache
def script_of(name: str) -> Script:
    """Read a model's name; words that mean nothing are part of its name."""
    script = Script(name)
    words = re.split(r"[-/]", name)
    for before, word in zip(["", *words], words, strict=False):
        script = _apply_word(script, before, word)
    return script


def _apply_word(script: Script, before: str, word: str) -> Script:
    match before, word:
        case "fail", _ if word in FAULTS or re.fullmatch(r"[45]\d\d", word):
            return replace(script, fault=word)
        case "no", "usage":
            return replace(script, reports_usage=False)
        case _, "echo" | "solver":
            return replace(script, kind=word)
        case _, "hang" | "malformed":
            return replace(script, fault=word)
        case _, "think":
            return replace(script, thinks=True)
        case _, "cached":
            return replace(script, is_cached=True)
        case _, "caching":
            return replace(script, keeps_cache=True)
    if setting := re.fullmatch(r"(\d{1,6})(ms|gap|c|pct)", word):
        number = int(setting[1])
        match setting[2]:
            case "ms":
                return replace(script, first_byte_ms=number)
            case "gap":
                return replace(script, gap_ms=number)
            case "c":
                return replace(script, chunks=max(1, number))
            case _:
                return replace(script, percent=number)
    return script
