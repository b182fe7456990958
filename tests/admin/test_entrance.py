"""The pages are loaded for the first visitor."""

import subprocess
import sys

LATE = ("router.admin.pages", "router.admin.queries", "router.tuning.preview", "sqlalchemy.dialects.postgresql")


def test_a_worker_that_nobody_visits_holds_no_pages() -> None:
    program = f"import sys, router.app; print([name for name in {LATE} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
