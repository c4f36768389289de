"""What was said on a connection so far, and the replies that follow from that alone (RFC 5321 4.1.4).

Both servers keep one for each connection. Whoever has to be asked (accounts, mailboxes) is asked by the servers.
"""

import re
from dataclasses import dataclass, field

from gateway.flows.outcomes import Peer
from gateway.smtp import grammar, replies
from gateway.smtp.grammar import ForwardPath, MailFrom
from gateway.smtp.limits import Limits
from gateway.smtp.replies import Reply

__all__ = ["Session", "Transaction"]

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._:\[\]-]")
_LONGEST_NAME = 255


@dataclass(slots=True)
class Transaction:
    """One mail transaction, from MAIL to the end of its message."""

    mail: MailFrom
    forward_paths: list[str] = field(default_factory=list)


class Session:
    """The conversation of one connection.

    Args:
        hostname: how this server calls itself.
        domain: whose postmaster the bare name ``postmaster`` is.
        address, port: the other end.
        takes_auth: whether MAIL may carry the AUTH parameter.
    """

    def __init__(
        self, limits: Limits, *, hostname: str, domain: str, address: str, port: int, takes_auth: bool = False
    ) -> None:
        self._limits = limits
        self._hostname = hostname
        self._domain = domain
        self._takes_auth = takes_auth
        self.peer = Peer(address=address, port=port, tls=False)
        self.extended = False
        self.transaction: Transaction | None = None

    def encrypted(self) -> None:
        """TLS began: what was said before counts no more (RFC 3207 4.2)."""
        self.peer = Peer(address=self.peer.address, port=self.peer.port, tls=True)
        self.extended = False
        self.transaction = None

    def hello(self, verb: str, argument: str, capabilities: list[str]) -> bytes:
        """Answer HELO or EHLO; the latter with what this server can do."""
        if not argument or not argument.isprintable():
            return bytes(replies.BAD_ARGUMENT)
        helo = _NOT_IN_A_NAME.sub("?", argument[:_LONGEST_NAME])  # it will stand in a Received field
        self.peer = Peer(address=self.peer.address, port=self.peer.port, tls=self.peer.tls, helo=helo)
        self.extended = verb == "EHLO"
        self.transaction = None
        lines = [self._hostname, *capabilities] if self.extended else [self._hostname]
        return b"".join(
            f"250{' ' if number == len(lines) else '-'}{line}\r\n".encode("ascii")
            for number, line in enumerate(lines, start=1)
        )

    def mail(self, argument: str) -> MailFrom | Reply:
        """What MAIL says, if it may be said now; ``begin`` makes it count."""
        if self.peer.helo is None:
            return replies.HELLO_FIRST
        if self.transaction is not None:
            return replies.NESTED_MAIL
        return grammar.mail_from(argument, max_bytes=self._limits.max_message_bytes, takes_auth=self._takes_auth)

    def begin(self, mail: MailFrom) -> Reply:
        self.transaction = Transaction(mail)
        return replies.SENDER_OK

    def rcpt(self, argument: str) -> ForwardPath | Reply:
        """What RCPT says, if it may be said now; ``add`` makes it count."""
        if self.transaction is None:
            return replies.OUT_OF_ORDER
        path = grammar.forward_path(argument, domain=self._domain)
        if isinstance(path, ForwardPath) and path.routed:
            return replies.SOURCE_ROUTE
        if isinstance(path, ForwardPath) and len(self.transaction.forward_paths) >= self._limits.max_recipients:
            return replies.TOO_MANY_RECIPIENTS
        return path

    def add(self, path: ForwardPath) -> Reply:
        """Count ``path`` among the recipients, once."""
        assert self.transaction is not None
        if path.address not in self.transaction.forward_paths:
            self.transaction.forward_paths.append(path.address)
        return replies.RECIPIENT_OK

    def no_data(self) -> Reply | None:
        """Why no message may come now."""
        if self.transaction is None:
            return replies.OUT_OF_ORDER
        return None if self.transaction.forward_paths else replies.NO_RECIPIENTS

    def take_transaction(self) -> Transaction:
        """The transaction whose message begins now; another may follow it."""
        transaction, self.transaction = self.transaction, None
        assert transaction is not None
        return transaction

    def reset(self) -> None:
        self.transaction = None
