"""Sockets that listen before anybody answers on them, so that a port in use stops the start and not half of it."""

import errno
import socket
from collections.abc import Sequence
from typing import Any, Final

__all__ = ["listening"]

NO_SUCH_ADDRESS: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}  # "localhost" without IPv6, for one
DRAWS: Final = 20
_Found = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
"""As ``socket.getaddrinfo`` has it."""


def listening(host: str, port: int, backlog: int = 512) -> list[socket.socket]:
    """Listen on every address of ``host``; an empty one is every address of the machine. Port 0 is one that is free.

    Raises:
        OSError: the port is taken or not allowed, or there is no such address.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for _ in range(DRAWS if port == 0 else 0):  # free on the first address may be taken on the next
        try:
            return _all_opened(found, 0, backlog)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    return _all_opened(found, port, backlog)


def _all_opened(found: Sequence[_Found], port: int, backlog: int) -> list[socket.socket]:
    """A listener on each address, all of one port."""
    opened: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, _, _, _, address in found:
            try:
                opened.append(_opened(family, (address[0], port, *address[2:]), backlog))
            except OSError as error:
                if error.errno not in NO_SUCH_ADDRESS:
                    raise
                missing = error
            else:
                port = port or opened[-1].getsockname()[1]
        if not opened and missing is not None:
            raise missing
    except BaseException:
        for each in opened:
            each.close()
        raise
    return opened


def _opened(family: int, address: tuple[object, ...], backlog: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
