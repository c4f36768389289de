"""The schema's version: bringing a database up to date, and refusing one that is not."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from gateway.storage import drivers
from gateway.storage.errors import StorageUnavailable

__all__ = ["check", "migrate"]

MIGRATIONS = Path(__file__).with_name("migrations")
LOCK = 0x6365726C  # any number, as long as every node takes the same one


def migrate(engine: Engine) -> None:
    """Apply the steps that are missing. Nodes that start together take turns, however long a step takes."""
    config = _config()
    with engine.begin() as connection:
        if _current(connection) == _newest(config):
            return
        if connection.dialect.name == "postgresql":
            _wait_for_turn(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _wait_for_turn(connection: Connection) -> None:
    """Until the transaction ends, no other node migrates. Its statements may last; the locks of tables, which others
    wait behind, are waited for as long as ever.
    """
    for name in ("lock_timeout", "statement_timeout"):
        connection.exec_driver_sql(f"SET LOCAL {name} TO 0")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout TO {drivers.LOCK_MILLISECONDS}")


def check(engine: Engine) -> None:
    """Refuse a database whose schema is older or newer than this program.

    Raises:
        StorageUnavailable: it is.
    """
    newest = _newest(_config())
    with engine.connect() as connection:
        current = _current(connection)
    if current != newest:
        raise StorageUnavailable(f"the database has schema {current or 'none'}, this program needs {newest}")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _newest(config: Config) -> str | None:
    return ScriptDirectory.from_config(config).get_current_head()


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
