"""What all tables share: the naming of constraints, and the kinds of columns."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, Text

__all__ = ["Id", "id_column", "instant", "key_column", "link", "metadata", "words"]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts by itself in SQLite


def id_column() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


def key_column() -> Column[int]:
    """An id that the program makes (``Batch.new_id``), so that rows can be added together."""
    return Column("id", Id, primary_key=True, autoincrement=False)


def instant(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def words(name: str, *, nullable: bool = False, unique: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable, unique=unique)


def link(name: str, target: str, *, nullable: bool = False, cascade: bool = False) -> Column[int]:
    return Column(name, Id, ForeignKey(target, ondelete="CASCADE" if cascade else None), nullable=nullable)
