"""The one place from which the gateway opens connections to other servers."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import TypeVar

from receipts.records import record

__all__ = ["DialFailed", "Dialer", "Target", "is_loopback", "is_public"]

ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)

LOCALHOST = ("127.0.0.1", "::1")
MAX_ADDRESSES = 8  # tried for one host


@record()
class Target:
    """One host that takes a domain's mail."""

    host: str  # the name a certificate must bear; or an address literal
    port: int
    addresses: tuple[str, ...] = ()  # where it is; looked up by ``host`` when empty


class DialFailed(Exception):
    """No address of the host could be reached; the text says why."""


class Dialer:
    """Opens TCP connections. A closed one (lab, bench, tests) refuses everything outside loopback (D29)."""

    def __init__(self, *, closed: bool = False, timeout_seconds: float = 30.0) -> None:
        self._closed = closed
        self._timeout = timeout_seconds

    async def addresses(self, target: Target) -> tuple[str, ...]:
        """Where ``target`` is, in the order to try.

        Raises:
            DialFailed: the name is unknown, or a closed dialer would have to ask for it.
        """
        if target.addresses:
            return target.addresses[:MAX_ADDRESSES]
        if _is_literal(target.host):
            return (target.host,)
        if self._closed:
            if target.host.lower() == "localhost":
                return LOCALHOST
            raise DialFailed(f"{target.host}: only loopback is reachable from here")
        try:
            async with asyncio.timeout(self._timeout):
                found = await asyncio.get_running_loop().getaddrinfo(
                    target.host, target.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
                )
        except (OSError, TimeoutError, UnicodeError) as error:
            raise DialFailed(f"{target.host}: host name not found") from error
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))[:MAX_ADDRESSES]

    async def connect(
        self,
        address: str,
        port: int,
        protocol: Callable[[], ProtocolT],
        *,
        tls: ssl.SSLContext | None = None,
        host: str | None = None,
    ) -> ProtocolT:
        """A connection to ``address`` (an IP address).

        Args:
            tls: speak TLS from the first byte, with ``host`` as the name that the certificate must bear.

        Raises:
            DialFailed: not reachable in time, outside loopback for a closed dialer, or no TLS as wanted.
        """
        if self._closed and not ip_address(address).is_loopback:
            raise DialFailed(f"{address}: only loopback is reachable from here")
        try:
            async with asyncio.timeout(self._timeout):
                _, made = await asyncio.get_running_loop().create_connection(
                    protocol, address, port, ssl=tls, server_hostname=None if tls is None else host
                )
        except TimeoutError as error:
            raise DialFailed(f"{address} port {port}: no answer in {self._timeout:g} s") from error
        except ssl.SSLCertVerificationError as error:
            raise DialFailed(f"{host}: its certificate is not good ({error.verify_message})") from error
        except OSError as error:
            raise DialFailed(f"{address} port {port}: {error.strerror or 'not reachable'}") from error
        return made


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own, whatever a name server says."""
    return host.lower() == "localhost" or (_is_literal(host) and ip_address(host).is_loopback)


def is_public(address: str) -> bool:
    """Whether an address that a stranger names may be connected to: not ours, not our network's (D10)."""
    found = ip_address(address)
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_global and not found.is_multicast


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
