"""What every output says of itself: which stretch of time, in which zone, of which books, and when it was made."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine

from router.database.engine import address_of
from router.reports.window import Window, format_moment

COLUMNS = ("since", "until", "zone", "database", "made_at")


@dataclass(frozen=True, slots=True)
class Stamp:
    """The window of an output, its database without credentials, and the instant it was made."""

    window: Window
    database: str
    made_us: int

    @classmethod
    def of(cls, engine: Engine, window: Window) -> "Stamp":
        """Stamp what is read of a window just now."""
        made_us = window.now_us
        if made_us is None:
            made_us = int(datetime.now(UTC).timestamp() * 1_000_000)
        return cls(window, address_of(engine), made_us)

    def describe(self) -> str:
        """Say it in one line for people."""
        return f"{self.window.describe()}; {self.database}; made {format_moment(self.made_us, self.window.zone)}"

    def fields(self) -> dict[str, object]:
        """Write it as JSON has it; an open end is null, up to when it was made."""
        window = {"since": iso(self.window.since_us), "until": iso(self.window.until_us)}
        return {
            "window": window,
            "zone": str(self.window.zone),
            "database": self.database,
            "made_at": iso(self.made_us // 1_000_000 * 1_000_000),
        }

    def cells(self) -> dict[str, object]:
        """Write it as the last columns of CSV have it, in COLUMNS; an open end is when it was made."""
        fields = self.fields()
        since, until = iso(self.window.since_us), iso(self.window.until_us)
        return dict(zip(COLUMNS, (since, until or fields["made_at"], *list(fields.values())[1:]), strict=True))


def iso(at_us: int | None) -> str | None:
    """Write an instant for programs: ISO 8601 in UTC."""
    return None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC).isoformat()
