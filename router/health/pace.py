"""How fast a model writes, measured on its own answers, and how many retries its calls have earned."""

FIRST_GUESS = 100.0  # tokens per second of a model that was not measured yet
LEAST_TOKENS = 32  # shorter answers are mostly waiting
WEIGHT = 0.1  # of the newest answer
SLOWEST, FASTEST = 0.5, 5_000.0

EARNED_PER_CALL = 0.09  # retries are calls too: a tenth more in all
FIRST_RETRIES = 1.0
MOST_RETRIES = 10.0


class Speed:
    """Output tokens per second, waiting for the first included; newer answers count more."""

    __slots__ = ("is_measured", "tokens_per_second")

    def __init__(self) -> None:
        self.tokens_per_second = FIRST_GUESS
        self.is_measured = False

    def note(self, tokens: int, seconds: float) -> None:
        """Take in one whole answer."""
        if tokens < LEAST_TOKENS or seconds <= 0:
            return
        found = min(max(tokens / seconds, SLOWEST), FASTEST)
        if self.is_measured:
            self.tokens_per_second += WEIGHT * (found - self.tokens_per_second)
        else:
            self.tokens_per_second, self.is_measured = found, True

    def seconds_for(self, tokens: float) -> float:
        """How long so many tokens take."""
        return tokens / self.tokens_per_second


class RetryBudget:
    """One retry for eleven calls, so that a provider in trouble gets at most a tenth more of them."""

    __slots__ = ("_saved",)

    def __init__(self) -> None:
        self._saved = FIRST_RETRIES

    def earn(self) -> None:
        """Note a call."""
        if self._saved < MOST_RETRIES:
            self._saved += EARNED_PER_CALL

    def spend(self) -> bool:
        """Take one retry; False where none is left."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True
