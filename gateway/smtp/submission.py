"""Submission by the holders on 587 (STARTTLS) and 465 (TLS from the first byte)."""

import asyncio
import logging
import ssl
import time

from gateway.flows.outcomes import SignIn, Submit
from gateway.flows.sessions import LiveSessions
from gateway.smtp.access import Access, HasRoom, SubmissionProtocol
from gateway.smtp.allowance import Allowance
from gateway.smtp.connection import Clock
from gateway.smtp.hardening import Budget
from gateway.smtp.intake import OpenSink
from gateway.smtp.limits import Limits
from gateway.smtp.listener import Listener

__all__ = ["SubmissionServer"]


class SubmissionServer(Listener):
    """The access point's server.

    Args:
        hostname: how it calls itself.
        domain: the provider's own domain, whose postmaster the bare ``postmaster`` is.
        tls: without it nobody could sign in.
        budget: of message bytes, shared with the other servers of the process.
        sign_in: says who a user name and a password are.
        submit: takes a message; 250 goes out after it returns.
        open_sink: makes the place where a large message goes while it comes in.
        has_room: asked before each message.
        live: told who is signed in, so that a disabled account loses its sessions.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        hostname: str,
        domain: str,
        tls: ssl.SSLContext,
        limits: Limits,
        budget: Budget,
        sign_in: SignIn,
        submit: Submit,
        open_sink: OpenSink,
        has_room: HasRoom = lambda: True,
        live: LiveSessions | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(limits, budget, signs_in=True, clock=clock)
        self._access = Access(
            hostname=hostname,
            domain=domain,
            tls=tls,
            sign_in=sign_in,
            submit=submit,
            open_sink=open_sink,
            has_room=has_room,
            live=live,
            allowance=Allowance(limits),
        )
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd logs peers, addresses and lines (D32)

    def protocol(self, *, implicit_tls: bool) -> asyncio.Protocol:
        return SubmissionProtocol(self, self._access, implicit_tls=implicit_tls)
