"""How a client says who it is: LOGIN, and AUTHENTICATE with PLAIN or LOGIN (RFC 3501 6.2, RFC 4616, RFC 4959)."""

import asyncio
import base64
import binascii
import logging
from typing import Final

from gateway.flows.outcomes import Holder, Peer, SignIn, SignInFailure
from gateway.mailbox.connection import Connection
from gateway.mailbox.grammar import plain_credentials
from gateway.mailbox.imap import replies
from gateway.mailbox.imap.inside import Declined
from gateway.mailbox.imap.limits import ImapLimits
from gateway.mailbox.imap.tokens import Malformed

__all__ = ["Door"]

log = logging.getLogger(__name__)

_ASK_USER: Final = b"+ VXNlcm5hbWU6\r\n"  # "Username:", which is all that ever defined this mechanism
_ASK_PASSWORD: Final = b"+ UGFzc3dvcmQ6\r\n"  # "Password:"


class Door:
    """Lets the clients of one connection in. Raises Declined and Malformed; counts the failures."""

    def __init__(self, sign_in: SignIn, connection: Connection, limits: ImapLimits, *, tls: bool) -> None:
        self._sign_in = sign_in
        self._connection = connection
        self._limits = limits
        self.tls = tls
        self.failures = 0

    async def authenticate(self, mechanism: bytes, initial: bytes | None) -> Holder:
        if mechanism == b"PLAIN":
            credentials = plain_credentials(initial if initial is not None else await self._ask(replies.CONTINUE))
            if credentials is None:
                raise Malformed("no credentials")
            return await self.check(*credentials)
        if mechanism == b"LOGIN":
            user = _text(initial if initial is not None else await self._ask(_ASK_USER))
            return await self.check(user, _text(await self._ask(_ASK_PASSWORD)))
        raise Declined(replies.NO_MECHANISM)

    async def check(self, user: str, password: str) -> Holder:
        peer = Peer(address=self._connection.address, port=self._connection.port, tls=self.tls)
        who = await self._sign_in(user, password, peer)
        if isinstance(who, Holder):
            return who
        log.info("imap sign-in failed", extra={"peer": peer.address, "why": who.name})
        self.failures += 1
        await asyncio.sleep(self._limits.failure_pause_seconds)
        raise Declined(replies.REFUSED[SignInFailure(who)])

    async def _ask(self, challenge: bytes) -> bytes:
        self._connection.write(challenge)
        await self._connection.flush(self._limits.bytes_per_second)
        line = await self._connection.line(self._limits.stranger_bytes, self._limits.sign_in_seconds)
        if line == b"*":
            raise Malformed(replies.CANCELLED)  # RFC 3501 section 6.2.2: answered with BAD
        return line


def _text(response: bytes) -> str:
    try:
        return base64.b64decode(response, validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        raise Malformed("base64 expected") from None
