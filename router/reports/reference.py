"""What docs/reports.md has to say of every figure and column: made from the code, so that the page cannot drift."""

from router.reports.dimensions import DIMENSIONS
from router.reports.figures import definitions

# Columns of rows and totals, in the order in which they are written.
COLUMNS = {
    "requests": "settled requests that came in within the window",
    "calls": "their provider calls of any kind: answers, samples, judges, shadows, failures",
    "cost_usd": "sum of the calls' amounts + corrections; unknown when there are calls and none has a price",
    "expected_revenue_usd": "sum of what each request was expected to earn by the assumptions of its time",
    "booked_revenue_usd": "sum of revenue events, statements spread over the requests they match",
    "contribution_usd": "expected_revenue_usd - cost_usd",
    "deep_share": "requests answered by reasoning or parallel / requests",
    "unpriced": "calls without a price, which are not in cost_usd",
    "estimated": "calls whose tokens we counted ourselves",
    "unknown": "calls of which nobody knows how they ended, booked at their upper bound",
    "made_up": "of the requests, those that are made up",
}


def tables() -> dict[str, str]:
    """Return the tables of the page, by the name of their place in it."""
    columns = [f"| `{name}` | {meaning} |" for name, meaning in COLUMNS.items()]
    dimensions = [f"| `{d.name}` | {d.meaning} |" for d in DIMENSIONS.values()]
    figures = [f"| `{f.name}` | {f.title} | {f.formula} | {f.unknown} |" for f in definitions()]
    return {
        "columns": "\n".join(("| column | formula |", "| --- | --- |", *columns)),
        "dimensions": "\n".join(("| dimension | splits requests by |", "| --- | --- |", *dimensions)),
        "figures": "\n".join(("| figure | title | formula | unknown when |", "| --- | --- | --- | --- |", *figures)),
    }
