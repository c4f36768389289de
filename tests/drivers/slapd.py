"""Debian's slapd in a folder of its own, with the schema of RFC 6109, in clear and under TLS."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.lab.ports import FreePorts
from tests.lab.waiting import until

__all__ = ["ADMIN", "PASSWORD", "Slapd", "slapd"]

SLAPD = Path("/usr/sbin/slapd")
SCHEMA = Path(__file__).parents[2] / "config" / "ldap" / "postacert.schema"
ADMIN, PASSWORD = "cn=admin,o=postacert", "una parola"

CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include {schema}
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCACertificateFile {certificate}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
sizelimit {limit}
database mdb
maxsize 104857600
suffix "o=postacert"
rootdn "{admin}"
rootpw {password}
directory {folder}/data
access to * by * read
"""


@dataclass(frozen=True)
class Slapd:
    """Where it listens."""

    plain: str
    secure: str


@contextmanager
def slapd(folder: Path, certificate: Path, key: Path, *, limit: int = 10_000) -> Iterator[Slapd]:
    """A server with an empty directory."""
    if not SLAPD.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("slapd is not installed (apt: slapd)")
        pytest.skip("slapd is not installed (apt: slapd)")
    (folder / "data").mkdir(parents=True)
    written = CONFIGURATION.format(
        schema=SCHEMA,
        folder=folder,
        certificate=certificate,
        key=key,
        admin=ADMIN,
        password=f'"{PASSWORD}"',
        limit=limit,
    )
    (folder / "slapd.conf").write_text(written)
    ports = FreePorts(set())
    plain, secure = ports.take(), ports.take()
    ports.release()
    urls = Slapd(f"ldap://127.0.0.1:{plain}", f"ldaps://localhost:{secure}")
    command = [
        str(SLAPD),
        "-f",
        str(folder / "slapd.conf"),
        "-h",
        f"{urls.plain} ldaps://127.0.0.1:{secure}",
        "-d",
        "0",
    ]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        until(lambda: all(map(_answers, (plain, secure))) or process.poll() is not None, "slapd")
        assert process.poll() is None, (folder / "said").read_text()
        yield urls
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
