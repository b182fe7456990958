"""The tables of learning from traffic: feature rows with retention, verdicts of duels, adapted artefacts.

No text: a row holds hashes of words and counts, a duel who agreed with whom.
"""

from sqlalchemy import BigInteger, Integer, LargeBinary, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import REAL

from router.database import codes
from router.database.tables import CLUSTERED, Base, Coded, RequestId
from router.types import Agreement, Tier


class FeatureRow(Base):
    """What the classifier read of a request: hashed features, from which it can be refitted without the text."""

    __tablename__ = "feature_rows"

    request_id: Mapped[str] = mapped_column(RequestId, primary_key=True)
    created_at: Mapped[int] = mapped_column(BigInteger)
    format: Mapped[int] = mapped_column(SmallInteger)  # of the features: rows of different formats do not compare
    row: Mapped[bytes] = mapped_column(LargeBinary)


class Duel(Base):
    """What became of running another tier on an answered request, off its path."""

    __tablename__ = "duels"
    __table_args__ = CLUSTERED

    request_id: Mapped[str] = mapped_column(RequestId, primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger)
    cost_nanousd: Mapped[int | None] = mapped_column(BigInteger)
    answered_tier: Mapped[Tier] = mapped_column(Coded(codes.TIERS))
    other_tier: Mapped[Tier] = mapped_column(Coded(codes.TIERS))
    agreement: Mapped[Agreement] = mapped_column(Coded(codes.AGREEMENTS))
    preferred: Mapped[Tier | None] = mapped_column(Coded(codes.TIERS))  # by a judge, in both orders
    grade_fast: Mapped[float | None] = mapped_column(REAL)  # 0..1, NULL where nothing is known
    grade_reasoning: Mapped[float | None] = mapped_column(REAL)


class DuelDay(Base):
    """What the duels of a day (UTC) have taken of their allowance, over all workers."""

    __tablename__ = "duel_days"

    day: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)  # since the epoch
    taken_nanousd: Mapped[int] = mapped_column(BigInteger)


class Artifact(Base):
    """An adapted classifier, so that all replicas share it: numbers and a manifest, never a pickle."""

    __tablename__ = "artifacts"

    version: Mapped[str] = mapped_column(Text, primary_key=True)
    created_at: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))  # stored, withdrawn
    author: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    card: Mapped[str] = mapped_column(Text)
    blob: Mapped[bytes] = mapped_column(LargeBinary)
