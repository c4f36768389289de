"""The steps lead to the schema that the program has, on both databases."""

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from gateway.storage import drivers, schema
from gateway.storage.engine import Storage
from gateway.storage.tables import message_forms, metadata
from receipts.choice import USUAL, FieldChooser
from tests.lab.waiting import until
from tests.postgresql import Cluster


def test_the_steps_lead_to_the_tables(storage: Storage) -> None:
    def ours(name: str | None, _kind: str, _parents: object) -> bool:
        return not (name or "").startswith("search_index")  # each database's own: it is no table of ours

    def differences(connection: Connection) -> list[object]:
        options = {"compare_type": True, "include_name": ours}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    assert storage.write_now(differences) == []


def test_the_steps_write_the_same_sqlite_tables(sqlite_url: str, tmp_path: Path) -> None:
    """What the comparison does not see: WITHOUT ROWID, AUTOINCREMENT, the terms of partial indexes."""
    made = tmp_path / "made.sqlite"
    engine = create_engine(f"sqlite:///{made}")
    metadata.create_all(engine)
    engine.dispose()
    migrated = _definitions(Path(sqlite_url.removeprefix("sqlite:///")))
    for name, definition in _definitions(made).items():
        assert migrated[name] == definition


def _definitions(file: Path) -> dict[str, list[str]]:
    connection = sqlite3.connect(file)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
    found = {name: _words(sql) for name, sql in rows}
    connection.close()
    return found


def _words(sql: str) -> list[str]:
    """The words of a definition without their order, as constraints come in any."""
    return sorted(re.sub(r"[\s(),\"]+", " ", sql).split())


def test_migrating_twice_changes_nothing(storage_url: str) -> None:
    Storage.open(storage_url, migrate=True).close()
    Storage.open(storage_url, migrate=True).close()


def test_a_step_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps are one transaction, on SQLite too."""
    monkeypatch.setattr(schema, "MIGRATIONS", _broken(tmp_path))
    url = f"sqlite:///{tmp_path}/half.sqlite"
    with pytest.raises(RuntimeError, match="half way"):
        Storage.open(url, migrate=True)
    connection = sqlite3.connect(tmp_path / "half.sqlite")
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name <> 'sqlite_sequence'").fetchone() == (0,)
    connection.close()


def _broken(tmp_path: Path) -> Path:
    """The steps, and one more that stops half way."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for name in ("env.py", "versions/0001_first.py"):
        (folder / name).write_text((schema.MIGRATIONS / name).read_text())
    (folder / "versions" / "0002_broken.py").write_text(
        'revision = "0002"\ndown_revision = "0001"\ndef upgrade():\n    raise RuntimeError("half way")\n'
    )
    return folder


def test_what_was_worked_out_before_gets_its_usual_fields(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.sqlite"
    header = b"Received: x\r\nSubject: uno\r\n due\r\nFrom: anna@alfa.example\r\n\r\n"
    engine = create_engine(url)
    with engine.begin() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0014")
        connection.execute(
            text("INSERT INTO bodies (id, size, created_at, parts) VALUES (7, 0, 0, x'')"),
        )
        connection.execute(
            text(
                "INSERT INTO message_details (body_id, envelope, body, structure, header, places, heads, subject, "
                "senders, recipients, copies, hidden) "
                "VALUES (7, x'31', x'32', x'33', :header, x'5b5d', '', '', '', '', '', '')"
            ),
            {"header": header},
        )
    engine.dispose()
    storage = Storage.open(url, migrate=True)
    (row,) = storage.read_now(lambda connection: connection.execute(message_forms.select()).all())
    storage.close()
    assert tuple(row) == (7, b"1", b"3", FieldChooser(USUAL, others=False)(header))


def test_nodes_that_start_together_migrate_once(postgresql_cluster: Cluster) -> None:
    name = postgresql_cluster.create()
    url = postgresql_cluster.url(name)
    with ThreadPoolExecutor(3) as pool:
        for storage in pool.map(lambda _: Storage.open(url, migrate=True), range(3)):
            storage.close()
    postgresql_cluster.drop(name)


def test_a_node_waits_for_one_that_migrates_as_long_as_that_takes(
    postgresql_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "LOCK_MILLISECONDS", 50)
    name = postgresql_cluster.create()
    url = postgresql_cluster.url(name)
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND now() - query_start > interval '200 ms'"
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as other, ThreadPoolExecutor(1) as pool:
        other.execute(f"SELECT pg_advisory_lock({schema.LOCK})".encode())
        opening = pool.submit(Storage.open, url, migrate=True)
        until(lambda: opening.done() or other.execute(waits).fetchone(), "a node that has waited")
        assert not opening.done()
        other.execute(f"SELECT pg_advisory_unlock({schema.LOCK})".encode())
        opening.result().close()
    postgresql_cluster.drop(name)
