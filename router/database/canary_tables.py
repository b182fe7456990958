"""The table of canaries: a version that decides for a share of the conversations, or beside the one in force."""

from sqlalchemy import BigInteger, Double, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from router.database.tables import SERIAL, Base


class CanaryRow(Base):
    """One trial of a version: of which, against which, how it stands and how it ended."""

    __tablename__ = "canaries"

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    version: Mapped[int] = mapped_column(ForeignKey("policy_versions.version"))
    control: Mapped[int] = mapped_column(ForeignKey("policy_versions.version"))  # in force while it runs
    mode: Mapped[str] = mapped_column(String(16))  # canary, shadow
    share: Mapped[float] = mapped_column(Double)
    started_at: Mapped[int] = mapped_column(BigInteger)
    ended_at: Mapped[int | None] = mapped_column(BigInteger)
    on_success: Mapped[str] = mapped_column(String(16))  # wait, activate
    state: Mapped[str] = mapped_column(String(16), index=True)  # running, waiting, rolled_back, activated, stopped
    verdict: Mapped[str | None] = mapped_column(Text)
    author: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
