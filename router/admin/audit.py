"""The audit log: an entry for every change in the admin plane, with before and after, and for what was refused.

Entries are only ever added. A change writes its entry in its own transaction, so that there is neither without the
other; policies keep a log of their own (`router.policies.lifecycle`), which the Audit page shows beside this one.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert

from router.database.admin_tables import AuditEntry

COMMAND = "command"
LONGEST = 500
Facts = Mapping[str, Any] | None


def add(
    connection: Connection,
    actor: str,
    act: str,
    target: str,
    before: Facts,
    after: Facts,
    now_us: int,
    *,
    role: str = COMMAND,
    address: str = "",
    note: str = "",
    refused: bool = False,
) -> None:
    """Add an entry in the transaction of the change itself."""
    entry = {
        "at": now_us,
        "actor": _storable(actor),
        "role": role,
        "address": _storable(address),
        "act": act[:64],
        "target": _storable(target),
        "note": _storable(note),
        "refused": refused,
        "before": None if before is None else dict(before),
        "after": None if after is None else dict(after),
    }
    connection.execute(insert(AuditEntry).values(**entry))


def _storable(text: str) -> str:
    """Keep what the databases can hold of a text that a stranger may have sent."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:LONGEST]
