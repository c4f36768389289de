"""What the receipts of one message to many recipients of another provider take on the disks of both.

    python -m bench.receipts_disk [--recipients 1000] [--size 10000000] [--folder DIR]

Two providers in processes of their own, over sockets: a message with an attachment of ``--size`` bytes goes to that
many recipients, each of whom has a complete receipt made, with the whole message in it. Measured are the allocated
bytes of both data folders before and after, the memory of both processes, and that each receipt comes out of the
sender's mailbox as it left the other provider, byte for byte.
"""

import argparse
import asyncio
import base64
import hashlib
import imaplib
import json
import os
import re
import secrets
import smtplib
import sqlite3
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from sqlalchemy import Connection, select

from gateway.lab.description import description_file
from gateway.lab.processes import forget_peak, usage
from gateway.lab.running import Lab, running_lab
from gateway.storage import accounts, content
from gateway.storage.accounts import NewAccount
from gateway.storage.engine import Storage
from gateway.storage.tables import bodies
from receipts.octets import Octets

__all__ = ["Report", "measure"]

SENDER, SENDING, RECEIVING = "anna@alfa.example", "alfa.example", "beta.example"
FOLDER: Final = "Ricevute"
PIECE: Final = 1 << 18
PATIENCE: Final = 3_600.0
ADDED: Final = re.compile(rb"(?:(?:Return-Path|Received):[^\r]*\r\n(?:[ \t][^\r]*\r\n)*)*")
"""What the sender's provider puts above a message that it keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    recipients: int
    message_bytes: int
    receipt_bytes: int  # of all delivery receipts, as they come out
    added_bytes: dict[str, int]  # to the data folder of each provider
    ratio: dict[str, float]  # of the two
    idle_rss_mb: dict[str, float]
    peak_rss_mb: dict[str, float]
    seconds: float  # from handing it in to the last receipt
    different: int  # receipts that came out other than they left

    @property
    def good(self) -> bool:
        return not self.different and all(ratio < 0.02 for ratio in self.ratio.values())


async def measure(folder: Path, *, recipients: int, size: int) -> Report:
    """Run a lab in ``folder`` (absolute, empty) and measure. Raises TimeoutError if receipts do not come."""
    limits = {
        "CERALACCA_LIMITS__MAX_RECIPIENTS": str(max(50, recipients)),
        "CERALACCA_LIMITS__MAX_TOTAL_BYTES": str((recipients + 1) * size * 2),
        "CERALACCA_LIMITS__RECIPIENTS_PER_HOUR": "1000000",
        "CERALACCA_LIMITS__RECIPIENTS_PER_DAY": "1000000",
    }
    with patch.dict(os.environ, limits):
        async with running_lab(folder, providers=2, accounts=2, restart=False) as lab:
            return await asyncio.to_thread(_measured, lab, recipients, size)


def _measured(lab: Lab, recipients: int, size: int) -> Report:
    addresses = _add_recipients(lab, recipients)
    client = _Client(json.loads(description_file(lab.layout).read_bytes()))
    pids = {domain: process.pid for domain, process in lab.processes.items()}
    before = _disk(lab)
    client.send(addresses[:1], size)  # what a message takes with one receipt is no receipts' share
    client.wait_for(1)
    with_one = _disk(lab)
    idle = {domain: usage(pid).rss_mb for domain, pid in pids.items()}
    for pid in pids.values():
        forget_peak(pid)
    began = time.monotonic()
    message_bytes = client.send(addresses, size)
    client.wait_for(1 + recipients)
    seconds = time.monotonic() - began
    after = _disk(lab)
    peak = {domain: usage(pid).peak_rss_mb for domain, pid in pids.items()}
    added = {domain: after[domain] - 2 * with_one[domain] + before[domain] for domain in pids}
    came = Counter(client.digests(FOLDER))
    left = Counter(_digests_of_delivery(lab))
    receipt_bytes = sum(length * count for (_, length), count in came.items())
    return Report(
        recipients=recipients,
        message_bytes=message_bytes,
        receipt_bytes=receipt_bytes,
        added_bytes=added,
        ratio={domain: round(bytes_ / receipt_bytes, 5) for domain, bytes_ in added.items()},
        idle_rss_mb={domain: round(mb, 1) for domain, mb in idle.items()},
        peak_rss_mb={domain: round(mb, 1) for domain, mb in peak.items()},
        seconds=round(seconds, 1),
        different=(came - left).total() + (left - came).total(),
    )


def _add_recipients(lab: Lab, number: int) -> list[str]:
    addresses = [f"ufficio{n}@{RECEIVING}" for n in range(number)]

    def transaction(connection: Connection) -> None:
        for address in addresses:
            accounts.add_account(connection, NewAccount(address=address, at=datetime.now(UTC)))

    storage = _storage(lab, RECEIVING)
    try:
        storage.write_now(transaction)
    finally:
        storage.close()
    return addresses


def _database(lab: Lab, domain: str) -> Path:
    (plan,) = (one for one in lab.plan.providers if one.domain == domain)
    return lab.layout.provider(plan).data / "ceralacca.sqlite"


def _storage(lab: Lab, domain: str) -> Storage:
    return Storage.open(f"sqlite:///{_database(lab, domain)}")


def _disk(lab: Lab) -> dict[str, int]:
    """Allocated bytes of each provider's data, once what stands in the log of SQLite stands in the database."""
    found: dict[str, int] = {}
    for one in lab.plan.providers:
        file = _database(lab, one.domain)
        connection = sqlite3.connect(file, timeout=60)
        try:
            while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                continue
        finally:
            connection.close()
        found[one.domain] = sum(each.stat().st_blocks * 512 for each in file.parent.rglob("*") if each.is_file())
    return found


class _Client:
    """The sender's mail program."""

    def __init__(self, lab: dict[str, Any]) -> None:
        self._context = ssl.create_default_context(cafile=lab["ca_file"])
        (self._ports,) = (one["ports"] for one in lab["providers"] if one["domain"] == SENDING)
        (self._password,) = (one["password"] for one in lab["accounts"] if one["address"] == SENDER)

    def send(self, recipients: list[str], size: int) -> int:
        """Hand in one message for all; its size."""
        message = _message(recipients, size)
        with smtplib.SMTP_SSL("localhost", self._ports["submissions"], context=self._context, timeout=600) as session:
            session.login(SENDER, self._password)
            refused = session.sendmail(SENDER, recipients, message)
        if refused:
            raise RuntimeError(f"refused: {refused}")
        return len(message)

    def wait_for(self, receipts: int) -> None:
        """Until so many delivery receipts are there."""
        session, deadline = self._imap(), time.monotonic() + PATIENCE
        try:
            while True:
                session.select(FOLDER, readonly=True)
                if len(self._deliveries(session)) >= receipts:
                    return
                if time.monotonic() > deadline:
                    raise TimeoutError("receipts are missing")
                time.sleep(1)
        finally:
            session.logout()

    def digests(self, folder: str) -> Iterator[tuple[bytes, int]]:
        """SHA-256 and size of each delivery receipt, without what our own provider put above it."""
        session = self._imap()
        try:
            session.select(folder, readonly=True)
            for uid in self._deliveries(session):
                yield self._digest(session, uid)
        finally:
            session.logout()

    def _imap(self) -> imaplib.IMAP4_SSL:
        session = imaplib.IMAP4_SSL("localhost", self._ports["imaps"], ssl_context=self._context, timeout=600)
        session.login(SENDER, self._password)
        return session

    def _deliveries(self, session: imaplib.IMAP4_SSL) -> list[bytes]:
        _, (found,) = session.uid("SEARCH", 'HEADER "X-Ricevuta" "avvenuta-consegna"')
        return list(found.split())

    def _digest(self, session: imaplib.IMAP4_SSL, uid: bytes) -> tuple[bytes, int]:
        """Read as it comes: a thousand large messages need not stand in memory, nor one of them twice."""
        session.send(b"x UID FETCH " + uid + b" (BODY.PEEK[])\r\n")
        first = session.readline()
        left = int(first.rpartition(b"{")[2].split(b"}")[0])
        head = session.read(min(left, PIECE))
        left -= len(head)
        own = ADDED.match(head)
        digest, length = hashlib.sha256(head[own.end() if own else 0 :]), len(head) - (own.end() if own else 0)
        while left:
            piece = session.read(min(left, PIECE))
            digest.update(piece)
            left, length = left - len(piece), length + len(piece)
        while not session.readline().startswith(b"x OK"):
            continue
        return digest.digest(), length


def _message(recipients: list[str], size: int) -> bytes:
    head = (
        f"From: {SENDER}\r\nTo: {', '.join(recipients)}\r\n".replace(", ", ",\r\n ")
        + f"Subject: Bando\r\nMessage-ID: <{secrets.token_hex(12)}@client.example>\r\n"
        + "Date: Mon, 02 Mar 2026 09:00:00 +0100\r\nMIME-Version: 1.0\r\n"
        + 'Content-Type: multipart/mixed; boundary="confine"\r\n\r\n'
        + "--confine\r\nContent-Type: text/plain\r\n\r\nIn allegato il bando.\r\n"
        + '--confine\r\nContent-Type: application/pdf; name="bando.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    )
    attached = base64.encodebytes(secrets.token_bytes(size)).replace(b"\n", b"\r\n")
    return head.encode() + attached + b"--confine--\r\n"


def _digests_of_delivery(lab: Lab) -> Iterator[tuple[bytes, int]]:
    """SHA-256 and size of the delivery receipts that the other provider issued, as it sent them."""
    storage = _storage(lab, RECEIVING)
    try:
        for body in storage.read_now(lambda c: c.execute(select(bodies.c.id).order_by(bodies.c.id)).scalars().all()):
            message = storage.read_now(_loading(body))
            if b"\r\nX-Ricevuta: avvenuta-consegna\r\n" in b"\r\n" + message.read(0, 16_384).partition(b"\r\n\r\n")[0]:
                yield message.sha256(), message.size
    finally:
        storage.close()


def _loading(body: int) -> Callable[[Connection], Octets]:
    return lambda connection: content.load(connection, body)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipients", type=int, default=1_000)
    parser.add_argument("--size", type=int, default=10_000_000, help="bytes of the attachment")
    parser.add_argument("--folder", type=Path, help="where the lab lives meanwhile; left out: the temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ceralacca-receipts-", dir=given.folder) as name:
        report = asyncio.run(measure(Path(name), recipients=given.recipients, size=given.size))
    for key in Report.__slots__:
        print(f"{key:15} {getattr(report, key)}")
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
