"""A worker that books votes and has them labelled as soon as they are in the books, and may be killed in between.

Run as `python -m tests.ledger.labelling URL SPOOLS VOTES KILLED_AT`; it kills itself before that label, 0 is never.
"""

import os
import signal
import sys
from pathlib import Path

from router.database.engine import open_engine
from router.ledger.feedback import FeedbackBook, Opinion
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from tests.ledger.builders import NOON, a_closing, a_result, an_id, an_intent, an_opening
from tests.tiers.parallel.endings import an_ending


def main(url: str, spools: str, votes: int, killed_at: int) -> None:
    """Book, ship and label one vote after the other."""
    engine, spool = open_engine(url), Spool.open(Path(spools))
    shipper, feedback = Shipper(spool, engine), FeedbackBook(engine)
    for number in range(1, votes + 1):
        request_id = an_id()
        spool.write([an_opening(request_id), an_intent(request_id)])
        spool.write([a_result(request_id), an_ending(request_id=request_id), a_closing(request_id)])
        if number == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        shipper.turn()
        feedback.record(Opinion(request_id, None, 1, None, None, NOON))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
