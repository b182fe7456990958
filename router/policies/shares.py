"""Shares as people type them: `18 %` and `0.18` mean the same."""

import math


class WrongShare(ValueError):
    """A share that cannot be read, or could mean two things; the message says how to write it."""


def read_share(text: str) -> float:
    """Read `18 %`, `18%` or `0.18` as 0.18; raises WrongShare, of a bare number above 1 too: it could mean either."""
    bare = text.strip()
    number = bare.removesuffix("%").rstrip()
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise WrongShare(f"{text.strip()[:40]!r} is not a number; write a share as 18 % or 0.18")
    if number != bare:
        return round(value / 100.0, 12)
    if value > 1.0:
        raise WrongShare(f"{bare} could mean {value:g} % or {value * 100:g} %; write {value:g} % or {value / 100:g}")
    return value


def format_typed_share(share: float) -> str:
    """Write a share as `read_share` takes it: 0.18 as `18 %`."""
    return f"{share * 100:.6g} %"
