"""Audit hooks of changes from the command line: their entries stand in the audit log beside those of the pages."""

import getpass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from router.database.engine import AuditHook


def hook(act: str, target: str, note: str = "") -> "AuditHook":
    """Make what writes a change into the audit log, in the change's own transaction."""
    from router.admin import audit
    from router.clock import SystemClock

    def write(connection: "Connection", before: Any, after: Any) -> None:
        now_us = SystemClock().now_us()
        audit.add(connection, getpass.getuser(), act, target, before, after, now_us, note=note)

    return write
