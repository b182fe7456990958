"""Several worker processes, one set of books."""

import subprocess
import sys
import textwrap
from pathlib import Path

from sqlalchemy import Engine, func, select

from router.database.tables import Call, Request

ROOT = Path(__file__).parents[2]
WORKER = """
    import sys
    from pathlib import Path
    from router.database import schema
    from router.ledger.shipping import Shipper
    from router.ledger.spool import Spool
    from tests.ledger.builders import spool_requests

    engine = schema.ready_engine(sys.argv[1])
    spool = Spool.open(Path(sys.argv[2]))
    shipper = Shipper(spool, engine, interval_s=0.01)
    shipper.start()
    spool_requests(spool, 300)
    assert shipper.stop(60)
    spool.close()
"""


def test_workers_share_the_books(engine: Engine, spool_dir: Path) -> None:
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", textwrap.dedent(WORKER), url, str(spool_dir)]
    workers = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
    assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Request)) == 900
        assert connection.scalar(select(func.count()).select_from(Call)) == 900
    assert list(spool_dir.iterdir()) == []
