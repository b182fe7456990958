"""What one key has used: by UTC day and in all, from the rollups."""

from collections.abc import Callable

from sqlalchemy import Engine

from router.money import usd_text
from router.reports.queries import Report, Sums, costs, share
from router.reports.window import Window

ReadUsage = Callable[[int, Window], Report]


def usage_of_keys(engine: Engine) -> ReadUsage:
    """Make what reads the usage of a key, by its id, in a window; it waits for the database."""
    return lambda key_id, window: costs(engine, ("day",), window, {"key": {str(key_id)}})


def usage_figures(sums: Sums) -> dict[str, object]:
    """Write what was used; `cost_usd` is None where nothing of it has a price, and lacks `unpriced` calls else."""
    return {
        "requests": sums.requests,
        "calls": sums.calls,
        "input_tokens": sums.input_fresh + sums.input_cached + sums.input_cache_write,
        "cached_input_tokens": sums.input_cached,
        "output_tokens": sums.output_visible + sums.output_reasoning,
        "reasoning_tokens": sums.output_reasoning,
        "cost_usd": usd_text(sums.cost_nanousd) if sums.has_cost else None,
        "deep_share": share(sums.deep, sums.requests),
        "unpriced": sums.calls - sums.priced,
        "estimated": sums.estimated,
    }
