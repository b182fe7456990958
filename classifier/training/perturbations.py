"""Rewrites of a question that change nothing about it, and how many decisions change all the same."""

import random
import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from classifier.wording import KNOWN_PREFIXES, KNOWN_SUFFIXES, UNSEEN_PREFIXES, UNSEEN_SUFFIXES

Rewrite = Callable[[str, random.Random], str]
_OPTION = re.compile(r"^([A-J])\. (.*)$", re.MULTILINE)


def _typos(text: str, chance: random.Random) -> str:
    """Neighbouring letters swapped at 2 % of the places."""
    letters = list(text)
    for at in range(len(letters) - 1):
        if letters[at].isalpha() and letters[at + 1].isalpha() and chance.random() < 0.02:
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)


def _shuffle_options(text: str, chance: random.Random) -> str:
    """Options in another order under the same letters; other texts stay as they are."""
    options = [body for _, body in _OPTION.findall(text)]
    chance.shuffle(options)
    remaining = iter(options)
    return _OPTION.sub(lambda option: f"{option.group(1)}. {next(remaining)}", text)


REWRITES: dict[str, Rewrite] = {
    "lower case": lambda text, _: text.lower(),
    "upper case": lambda text, _: text.upper(),
    "typos 2 %": _typos,
    "known prefix": lambda text, chance: chance.choice(KNOWN_PREFIXES).capitalize() + text,
    "known suffix": lambda text, chance: f"{text} {chance.choice(KNOWN_SUFFIXES).capitalize()}",
    "unseen prefix": lambda text, chance: chance.choice(UNSEEN_PREFIXES) + text,
    "unseen suffix": lambda text, chance: text + chance.choice(UNSEEN_SUFFIXES),
    "option order": _shuffle_options,
}


def flips(
    score_of: Callable[[str], float], texts: Sequence[str], shares: Sequence[float] = (0.1, 0.3, 0.5)
) -> dict[str, list[float]]:
    """Share of all texts whose side of the top-share threshold changes, per rewrite and share."""
    before = np.array([score_of(text) for text in texts])
    cuts = [float(np.quantile(before, 1 - share)) for share in shares]
    changed = {}
    for name, rewrite in REWRITES.items():
        chance = random.Random(1)
        after = np.array([score_of(rewrite(text, chance)) for text in texts])
        changed[name] = [_share_changed(before, after, cut) for cut in cuts]
    return changed


def _share_changed(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64], cut: float) -> float:
    return float(np.mean((before >= cut) != (after >= cut)))
