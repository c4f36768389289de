"""Roundcube as Debian ships it, out of a throw-away folder, on PHP's own server."""

import os
import secrets
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.lab.ports import FreePorts
from tests.clients.places import program
from tests.lab.waiting import until

__all__ = ["FILTERS", "Roundcube", "require_filters", "roundcube"]

INSTALLED = Path("/var/lib/roundcube")
SCHEMA = Path("/usr/share/roundcube/SQL/sqlite.initial.sql")
FILTERS = Path("/usr/share/roundcube/plugins/managesieve/managesieve.php")
DEFAULTS = ("defaults.inc.php", "mimetypes.php")
WORKERS = 4  # a page asks for several things at once


@dataclass(frozen=True)
class Roundcube:
    """A web mail that lets in whoever the IMAP server lets in."""

    url: str
    folder: Path

    @property
    def errors(self) -> str:
        """What it has to say against the servers, or against itself."""
        log = self.folder / "logs" / "errors.log"
        return log.read_text() if log.exists() else ""


@contextmanager
def roundcube(
    folder: Path, *, imaps: int, submissions: int | None, ca_file: Path, managesieve: int | None = None
) -> Iterator[Roundcube]:
    """One for the boxes of one server, until the end of the block. Nothing outside ``folder`` changes.

    Args:
        submissions: where it hands in what is sent; None if nothing will be.
        managesieve: where its editor of filters keeps them, if that is installed.
    """
    php = program("php")
    _require_roundcube()
    for name in ("config", "logs", "temp"):
        (folder / name).mkdir(parents=True)
    for name in DEFAULTS:
        (folder / "config" / name).symlink_to(INSTALLED / "config" / name)
    (folder / "config" / "config.inc.php").write_text(_configuration(folder, imaps, submissions, managesieve, ca_file))
    with sqlite3.connect(folder / "roundcube.sqlite") as database:
        database.executescript(SCHEMA.read_text())
    database.close()
    ports = FreePorts(set())
    try:
        port = ports.take()
    finally:
        ports.release()
    environment = {
        **os.environ,
        "ROUNDCUBE_CONFIG_DIR": str(folder / "config"),
        "PHP_CLI_SERVER_WORKERS": str(WORKERS),
        "TMPDIR": str(folder / "temp"),
    }
    command = [php, *_settings(folder), "-S", f"127.0.0.1:{port}", "-t", str(INSTALLED / "public_html")]
    with (folder / "php.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        until(lambda: _serves(process, port, folder), "Roundcube")
        yield Roundcube(f"http://127.0.0.1:{port}/", folder)
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its workers too
        process.wait(60)


def _require_roundcube() -> None:
    if SCHEMA.exists():
        return
    if os.environ.get("CI") == "true":
        pytest.fail("Roundcube is not installed (apt: roundcube-core, roundcube-sqlite3)")
    pytest.skip("Roundcube is not installed")


def require_filters() -> None:
    """Leaves the test out where the editor of filters is not installed, but never in CI."""
    if FILTERS.exists():
        return
    if os.environ.get("CI") == "true":
        pytest.fail("Roundcube's editor of filters is not installed (apt: roundcube-plugins)")
    pytest.skip("Roundcube's editor of filters is not installed")


def _serves(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> bool:
    assert process.poll() is None, (folder / "php.log").read_text()
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _settings(folder: Path) -> Iterator[str]:
    """Of PHP: everything it writes goes into the folder, and big attachments are let through."""
    values = {
        "session.save_path": folder / "temp",
        "sys_temp_dir": folder / "temp",
        "upload_tmp_dir": folder / "temp",
        "upload_max_filesize": "50M",
        "post_max_size": "60M",
        "memory_limit": "256M",
        "max_execution_time": 120,
        "log_errors": 1,
        "display_errors": 0,
    }
    for name, value in values.items():
        yield from ("-d", f"{name}={value}")


def _configuration(folder: Path, imaps: int, submissions: int | None, managesieve: int | None, ca_file: Path) -> str:
    tls = f"['ssl' => ['cafile' => '{ca_file}', 'verify_peer' => true, 'peer_name' => 'localhost']]"
    return f"""<?php
$config = [
    'db_dsnw' => 'sqlite:///{folder}/roundcube.sqlite?mode=0600',
    'imap_host' => 'ssl://localhost:{imaps}',
    'imap_conn_options' => {tls},
    'imap_timeout' => 60,
    'smtp_host' => 'ssl://localhost:{submissions or 1}',
    'smtp_conn_options' => {tls},
    'smtp_user' => '%u',
    'smtp_pass' => '%p',
    'smtp_timeout' => 60,
    'des_key' => '{secrets.token_hex(12)}',
    'log_dir' => '{folder}/logs/',
    'temp_dir' => '{folder}/temp/',
    'log_driver' => 'file',
    'imap_debug' => true,
    'smtp_debug' => true,
    'plugins' => [{"'managesieve'" if managesieve and FILTERS.exists() else ""}],
    'managesieve_host' => 'tls://localhost:{managesieve or 1}',
    'managesieve_conn_options' => {tls},
    'managesieve_mbox_encoding' => 'UTF-8',
    'managesieve_debug' => true,
    'skin' => 'elastic',
    'language' => 'en_US',
    'product_name' => 'Roundcube Webmail',
    'enable_spellcheck' => false,
    'session_lifetime' => 60,
    'refresh_interval' => 60,
];
"""
