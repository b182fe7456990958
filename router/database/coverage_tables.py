"""The table of what whole votes looked like: queries of the parallel tier that were sampled to the end."""

from sqlalchemy import BigInteger, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from router.database.tables import CLUSTERED, Base, RequestId


class CoverageRow(Base):
    """One query sampled to the end: counts only. Whether the selected answer was right, feedback says."""

    __tablename__ = "coverage"
    __table_args__ = CLUSTERED

    request_id: Mapped[str] = mapped_column(RequestId, primary_key=True)
    recorded_at: Mapped[int] = mapped_column(BigInteger)
    samples: Mapped[int] = mapped_column(SmallInteger)
    valid: Mapped[int] = mapped_column(SmallInteger)  # that could be read
    selected: Mapped[int] = mapped_column(SmallInteger)  # that say what was selected
    largest: Mapped[int] = mapped_column(SmallInteger)  # that say what most say
    used: Mapped[int] = mapped_column(SmallInteger)  # that had been taken when the tier stopped
