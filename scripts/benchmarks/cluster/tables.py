"""Writes what was found as tables for the pages. Pure."""

from collections.abc import Sequence

from scripts.benchmarks.cluster.cost import Cost
from scripts.benchmarks.cluster.faults import Spent, Table
from scripts.benchmarks.faults.alerts import AlertsFound

MILLION, GIB, MONTH_S = 1_000_000, 2**30, 30 * 86_400
BUSY = 0.7  # of a core that is planned with
KEPT_MONTHS = 13
LINEAR_BAR = 0.9


def are_bars_met(found: Table) -> bool:
    """No row lost or doubled, only killed requests failed, budgets exact, alerts once."""
    is_exact = found.large.holds and found.small.holds
    return _is_whole(found) and is_exact and _is_once(found.alerts) and all(event.holds for event in found.events)


def describe_faults(found: Table) -> str:
    """One row for each event, then what the books, the budgets and the alerts say when all is over."""
    lines = [
        "| what goes wrong | requests | failed | of them under way on a killed replica | bar |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    lines += [
        f"| {event.name} | {event.sent:,} | {event.failed} | {event.excused} | {_met(event.holds)} |"
        for event in found.events
    ]
    books, alerts = found.account, found.alerts
    is_whole, is_once = _is_whole(found), _is_once(alerts)
    rows = {
        "rows lost or doubled, against the provider's own tally": (
            f"{books.exact:,} exact <= {books.served:,} served <= {books.lines:,} lines ({books.estimated} estimated, "
            f"{books.unknown} unknown after kills); exact amounts {books.exact_nanousd:,} = {books.tally_nanousd:,} "
            f"nano-dollars; {books.lost_answers} answers that a client has and the books have not; `ledger verify` "
            f"{found.breaks or 'sound'}",
            is_whole,
        ),
        "a budget of everything": (_describe_spent(found.large), found.large.holds),
        "a small hard budget, used up through all replicas": (_describe_spent(found.small), found.small.holds),
        "alerts": (
            f"{alerts.raised} raised, {alerts.delivered} of them delivered in {alerts.received} deliveries, "
            f"{alerts.doubled} doubled, {alerts.unsettled} waiting",
            is_once,
        ),
    }
    lines += ["", "| afterwards | found | bar |", "| --- | --- | --- |"]
    lines += [f"| {name} | {told} | {_met(is_met)} |" for name, (told, is_met) in rows.items()]
    return "\n".join(lines)


def _is_whole(found: Table) -> bool:
    return found.is_shipped and found.account.holds and not found.breaks


def _is_once(alerts: AlertsFound) -> bool:
    return alerts.raised == alerts.delivered > 0 and not alerts.doubled and not alerts.unsettled


def _describe_spent(spent: Spent) -> str:
    return (
        f"{spent.settled_nanousd:,} of {spent.limit_nanousd:,} nano-dollars spent, lines say {spent.lines_nanousd:,}; "
        f"{spent.leased_nanousd:,} still leased"
    )


def describe_costs(costs: Sequence[Cost]) -> str:
    """One column for each number of replicas."""
    rows = {
        "requests": [f"{cost.requests:,}" for cost in costs],
        "requests per second, by the clock": [f"{cost.requests / cost.seconds:.0f}" for cost in costs],
        "CPU s per 1,000 requests: replicas": [f"{cost.per_thousand(cost.replicas_cpu_s):.2f}" for cost in costs],
        "CPU s per 1,000 requests: database": [f"{cost.per_thousand(cost.database_cpu_s):.2f}" for cost in costs],
        "CPU s per 1,000 requests: nginx": [f"{cost.per_thousand(cost.nginx_cpu_s):.2f}" for cost in costs],
        "idle: a replica's share of a core": [f"{cost.idle_replica:.1%}" for cost in costs],
        "idle: the database's share of a core, for each replica": [f"{cost.idle_database:.1%}" for cost in costs],
        "memory of a replica (one worker)": [f"{cost.memory_bytes / MILLION:.0f} MB" for cost in costs],
        "rows per request (requests and calls)": [f"{cost.rows / cost.requests:.2f}" for cost in costs],
        "bytes in PostgreSQL per request, with indexes": [
            f"{cost.stored_bytes / cost.requests:,.0f}" for cost in costs
        ],
    }
    head = "| measure | " + " | ".join(f"{cost.replicas} replica{'s' * (cost.replicas > 1)}" for cost in costs) + " |"
    lines = [head, "| --- |" + " ---: |" * len(costs)]
    lines += [f"| {name} | {' | '.join(values)} |" for name, values in rows.items()]
    return "\n".join(lines)


def describe_limits(costs: Sequence[Cost]) -> str:
    """What throughput follows from the CPU, where there are cores for everybody."""
    first, last = costs[0], costs[-1]
    replica, database = last.per_thousand(last.replicas_cpu_s), _database(costs)
    linear = first.per_thousand(first.replicas_cpu_s) / replica
    return (
        f"With {last.replicas} replicas a request costs them {1 / linear:.2f} times the CPU that it costs one: with a "
        f"core for each, and cores for the database and nginx, that is {linear:.2f} x linear (bar: {LINEAR_BAR} x, "
        f"{_met(linear >= LINEAR_BAR)} by CPU, not shown by the clock). A core of replicas serves {1000 / replica:.0f} "
        f"of these requests per second and a core of the database books {1000 / database:.0f}, so that one core of "
        f"the database keeps up with {replica / database:.1f} cores of replicas."
    )


def _database(costs: Sequence[Cost]) -> float:
    """The database's CPU per 1,000 requests: the most that was measured, for what idling takes is known roughly."""
    return max(cost.per_thousand(cost.database_cpu_s) for cost in costs)


def describe_scaling(costs: Sequence[Cost]) -> str:
    """Where each step becomes necessary, at several rates."""
    cost = costs[0]
    database, replica = _database(costs), max(one.per_thousand(one.replicas_cpu_s) for one in costs)
    stored = cost.stored_bytes / cost.requests
    lines = [
        "| requests per second, day and night | 1 | 10 | 100 | 1,000 | 10,000 |",
        "| --- |" + " ---: |" * 5,
    ]
    rates = (1, 10, 100, 1_000, 10_000)
    rows = {
        "millions of requests per month": [f"{rate * MONTH_S / MILLION:,.0f}" for rate in rates],
        f"cores of replicas, {BUSY:.0%} busy": [f"{rate * replica / 1000 / BUSY:,.1f}" for rate in rates],
        f"cores of the database for booking, {BUSY:.0%} busy": [
            f"{rate * database / 1000 / BUSY:,.1f}" for rate in rates
        ],
        "rows inserted per second": [f"{rate * cost.rows / cost.requests:,.0f}" for rate in rates],
        "GiB per month": [f"{rate * MONTH_S * stored / GIB:,.0f}" for rate in rates],
        f"GiB where {KEPT_MONTHS} months are kept": [
            f"{rate * MONTH_S * stored * KEPT_MONTHS / GIB:,.0f}" for rate in rates
        ],
    }
    lines += [f"| {name} | {' | '.join(values)} |" for name, values in rows.items()]
    return "\n".join(lines)


def _met(is_met: bool) -> str:
    return "met" if is_met else "**missed**"
