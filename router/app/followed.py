"""What every worker follows in the books: keys, classifiers, policies and prices, and which worker leads."""

from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from classifier import artifact
from router.app.ground import Ground
from router.database.changes import Changes
from router.database.leader import Leadership
from router.keys import KeyRing
from router.learning.artifacts import Artifacts
from router.policies.versions import PolicyBook
from router.refresher import Refresher


class Followed(NamedTuple):
    """What is known of the books now; the refresher reads it anew."""

    keys: KeyRing
    policies: PolicyBook
    artifacts: Artifacts
    changes: Changes
    leadership: Leadership
    refresher: Refresher


def follow_books(ground: Ground) -> Followed:
    """Read it once, and have it followed; raises ArtifactError, and what reading the books raises."""
    settings, books, metrics = ground.settings, ground.books, ground.metrics
    engine, last = books.engine, books.last_known
    keys, policies = KeyRing(engine, settings.limits.of_keys(), ground.clock.now_us), PolicyBook(engine, last)
    if last is not None:
        keys.refresh(last)
    artifacts = Artifacts(
        engine, artifact.load(settings.artifact), tell=metrics.count_fallback, alarm=metrics.set_classifier_missing
    )
    books.read(artifacts.follow)
    changes, leadership = Changes(engine), Leadership(engine)
    # A classifier before the policy it is for. The shipping thread says when the database is away.
    read_anew = keys.refresh, artifacts.follow, policies.refresh, lambda: books.prices.refresh(engine)
    follows = changes.refresh, *map(changes.let_follow, read_anew), leadership.refresh
    return Followed(keys, policies, artifacts, changes, leadership, Refresher(follows, quiet=(SQLAlchemyError,)))
