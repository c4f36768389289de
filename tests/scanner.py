"""A real clamd for tests, and messages that it knows, or cannot open."""

import io
import os
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from gateway.lab.clamd import EICAR, ClamdProcess, clamd_program

__all__ = ["EICAR", "FOUND", "attached", "encrypted_zip", "running", "start", "zipped"]

FOUND = "Eicar-Test-Signature.UNOFFICIAL"
START_SECONDS = 60


@contextmanager
def running(folder: Path, *options: str) -> Iterator[ClamdProcess]:
    """A clamd that answers; the tests that need it are left out, by name, where none is installed."""
    if clamd_program() is None:
        message = "clamd is not installed (apt: clamav-daemon)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    process = ClamdProcess(folder, *options)
    start(process)
    try:
        yield process
    finally:
        process.stop()


def start(process: ClamdProcess) -> None:
    """Return when it answers."""
    process.spawn()
    deadline = time.monotonic() + START_SECONDS
    while not process.answers():
        assert time.monotonic() < deadline, "clamd does not answer"
        time.sleep(0.02)


def zipped(name: str, data: bytes) -> bytes:
    """An archive with one file."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writing:
        writing.writestr(name, data)
    return archive.getvalue()


def encrypted_zip(name: str = "segreto.txt") -> bytes:
    """An archive that says its file is encrypted, which is all that anybody without the password can see."""
    raw = bytearray(zipped(name, b"cifrato " * 20))
    raw[6] |= 1  # the flag in the local header
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    return bytes(raw)


def attached(*files: tuple[str, bytes], to: str = "bruno@beta.example", inside: EmailMessage | None = None) -> bytes:
    """A message from anna at alfa with these files, and perhaps with another message attached."""
    return written(*files, to=to, inside=inside).as_bytes(policy=SMTP)


def written(
    *files: tuple[str, bytes], to: str = "bruno@beta.example", inside: EmailMessage | None = None
) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "anna@alfa.example", to, "Perizia"
    message["Message-ID"], message["Date"] = "<17@client.example>", "Mon, 2 Mar 2026 09:29:00 +0100"
    message.set_content("In allegato la perizia.\n")
    for name, data in files:
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    if inside is not None:
        message.add_attachment(inside)
    return message
