"""How good forecasts of costs were: what was expected before requests were sent, beside what they came to.

Whole answers of the first choice of real traffic, the newest 20,000. The intervals are judged out of sample: those that
the older half of the requests shows, on the newer half.
"""

from dataclasses import dataclass, replace
from statistics import median

from router.database import ids
from router.ledger.cost_factors import ForecastRow, factors_of, read_forecasts
from router.money import usd_text
from router.reports.reading import BooksSnapshot


@dataclass(frozen=True, slots=True)
class ForecastQuality:
    """Sums in dollars; `bias` is how far the sum expected lies above what was paid, as a share of it.

    `median_error` is of single requests, as a share of what each came to; `covered` the share of `judged` requests that
    came to something within their 80 % interval. None where there is nothing to tell from.
    """

    requests: int
    expected_usd: str
    paid_usd: str
    bias: float | None = None
    median_error: float | None = None
    covered: float | None = None
    judged: int = 0


def forecast_quality(books: BooksSnapshot) -> ForecastQuality:
    """Judge the forecasts of a window."""
    return judge(read_forecasts(books.connection, ids.text_at(books.start_ms), ids.text_at(books.end_ms)))


def judge(rows: list[ForecastRow]) -> ForecastQuality:
    """Judge forecasts, the newest first."""
    paid, expected = sum(row.paid for row in rows), sum(row.expected for row in rows)
    plain = ForecastQuality(len(rows), usd_text(expected), usd_text(paid))
    costly = [row for row in rows if row.paid > 0]
    if not costly:
        return plain
    covered = _judge_coverage(rows[: len(rows) // 2], rows[len(rows) // 2 :])
    return replace(
        plain,
        bias=round(expected / paid - 1.0, 4),
        median_error=round(median(abs(row.expected - row.paid) / row.paid for row in costly), 4),
        covered=round(sum(covered) / len(covered), 4) if covered else None,
        judged=len(covered),
    )


def _judge_coverage(newer: list[ForecastRow], older: list[ForecastRow]) -> list[bool]:
    """Tell of each newer request whether it came to something within the interval that the older ones show."""
    factors, found = factors_of(older), []
    for row in newer:
        factor = factors.get(row.key)
        if factor is not None and factor.low is not None and factor.high is not None:
            found.append(factor.low * row.forecast <= row.paid <= factor.high * row.forecast)
    return found
