"""Mailboxes that are emptied as they are read, so that large messages are fetched once."""

import poplib
import socket
import ssl
from collections.abc import Callable

from tests.lab.labs import Lab
from tests.lab.waiting import until

__all__ = ["Inbox"]

poplib._MAXLINE = 1_000_000  # type: ignore[attr-defined]  # hostile mail has long lines


class _Pop3(poplib.POP3_SSL):
    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._tls = context
        super().__init__("localhost", port, context=context, timeout=120)

    def _create_socket(self, timeout: float) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout, source_address=("127.0.0.2", 0))
        return self._tls.wrap_socket(plain, server_hostname=self.host)


class Inbox:
    """The mailbox of ``address``, looked into from another address of this machine than those who behave badly."""

    def __init__(self, lab: Lab, address: str) -> None:
        self._lab = lab
        self._account = lab.account(address)
        self._taken: list[bytes] = []

    def wait(self, wanted: Callable[[bytes], bool], what: str, *, seconds: float = 180) -> bytes:
        """The first message that is wanted, as soon as it is there; those before it are gone."""

        def look() -> bytes | None:
            self._empty()
            return next(filter(wanted, self._taken), None)

        return until(look, f"{what} for {self._account.address}", seconds=seconds)

    def all(self) -> list[bytes]:
        """All that was there until now."""
        self._empty()
        return self._taken

    def _empty(self) -> None:
        port = self._lab.provider(self._account.domain)["ports"]["pop3s"]
        box = _Pop3(port, self._lab.context())
        try:
            box.user(self._account.address)
            box.pass_(self._account.password)
            for number in range(1, box.stat()[0] + 1):
                self._taken.append(b"\r\n".join(box.retr(number)[1]) + b"\r\n")
                box.dele(number)
        finally:
            box.quit()
