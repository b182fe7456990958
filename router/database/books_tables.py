"""Which books these are, how often what people set was changed, and how much revenue each day has taken up."""

from sqlalchemy import BigInteger, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from router.database.tables import Base


class BooksId(Base):
    """One row that names these books: a server that finds another name, or none, is not at its own."""

    __tablename__ = "books_id"

    one: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(String(32))


class SchemaFloor(Base):
    """One row: the oldest revision whose code may use the schema as it is. A migration that takes something away
    raises it.
    """

    __tablename__ = "schema_floor"

    one: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    revision: Mapped[str] = mapped_column(String(32))


class ChangeCount(Base):
    """One row: how often anything changed that every worker follows, as triggers count it."""

    __tablename__ = "changes"

    one: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger)


class RevenueDay(Base):
    """The amounts of a UTC day's revenue events, without their signs, added up: what bounds a day."""

    __tablename__ = "revenue_days"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    amount_nanousd: Mapped[int] = mapped_column(BigInteger)
