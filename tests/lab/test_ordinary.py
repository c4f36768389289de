"""The lab's ordinary mail server files what it gets as any SMTP server does."""

import asyncio
import smtplib
import ssl
from pathlib import Path

import pytest

from gateway.lab.ordinary import OrdinaryServer
from gateway.lab.ports import FreePorts


@pytest.mark.parametrize(
    ("reverse_path", "written"), [("anna@alfa.example", b"<anna@alfa.example>"), ("", b"<>"), ("<>", b"<>")]
)
async def test_the_return_path_is_the_reverse_path(tmp_path: Path, reverse_path: str, written: bytes) -> None:
    ports = FreePorts(set())
    port = ports.take()
    ports.release()
    server = OrdinaryServer(tmp_path, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    await server.start(port)

    def send() -> None:
        with smtplib.SMTP("localhost", port, local_hostname="localhost") as client:
            client.sendmail(reverse_path, ["dora@mail.example"], b"Subject: x\r\n\r\nx\r\n")

    await asyncio.to_thread(send)
    await server.stop()
    (filed,) = (tmp_path / "new").iterdir()
    assert filed.read_bytes().startswith(b"Return-Path: " + written + b"\r\nX-Envelope-To: dora@mail.example\r\n")
