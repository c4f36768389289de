"""The lab's ordinary mail server: mail.example, which files what it gets in a Maildir and certifies nothing."""

import asyncio
import secrets
import ssl
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from gateway.lab.ports import loopback_hosts

__all__ = ["ORDINARY_DOMAIN", "OrdinaryServer"]

ORDINARY_DOMAIN = "mail.example"
MAX_BYTES = 150_000_000


class OrdinaryServer:
    """An SMTP server for everybody at mail.example but ``nobody``, who does not exist."""

    def __init__(self, maildir: Path, tls: ssl.SSLContext) -> None:
        self._maildir = maildir
        self._tls = tls
        self._server: asyncio.Server | None = None
        for folder in ("tmp", "new", "cur"):
            (maildir / folder).mkdir(parents=True, exist_ok=True)

    async def start(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, loopback_hosts(), port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _protocol(self) -> SMTP:
        return SMTP(self, data_size_limit=MAX_BYTES, hostname=ORDINARY_DOMAIN, tls_context=self._tls, loop=None)

    async def handle_RCPT(  # noqa: N802  (the name aiosmtpd calls)
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        local, _, domain = address.rpartition("@")
        if domain.lower() != ORDINARY_DOMAIN:
            return "550 5.7.1 No relaying here"
        if local.lower() == "nobody":
            return "550 5.1.1 No such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        sender = (envelope.mail_from or "").removeprefix("<").removesuffix(">")  # "<>": the null reverse path
        trace = f"Return-Path: <{sender}>\r\nX-Envelope-To: {', '.join(envelope.rcpt_tos)}\r\n"
        content = envelope.original_content or b""
        await asyncio.to_thread(self._file, trace.encode("ascii", "replace") + content)
        return "250 2.0.0 Filed"

    def _file(self, message: bytes) -> None:
        name = f"{time.time_ns()}.{secrets.token_hex(8)}.{ORDINARY_DOMAIN}"
        partial = self._maildir / "tmp" / name
        partial.write_bytes(message)
        partial.rename(self._maildir / "new" / name)
