"""The ports of one provider: all of them listen, or none does."""

import errno
import os
import socket
from typing import Final

from config.settings import ListenSettings
from config.values import Endpoint
from gateway.drivers.listening import listening

__all__ = ["PortUnavailable", "Ports"]

HINTS: Final = {errno.EACCES: " (a port below 1024 is for root, or needs CAP_NET_BIND_SERVICE)"}


class PortUnavailable(OSError):
    """A port cannot be had; the text names the setting, the address and the reason."""


class Ports:
    """The sockets of every service, listening from the moment this is made. Whoever connects waits for an answer.

    Raises:
        PortUnavailable: see above.
    """

    def __init__(self, listen: ListenSettings) -> None:
        self._open: dict[str, list[socket.socket]] = {}
        try:
            for service in ListenSettings.model_fields:
                self._open[service] = []
                for endpoint in getattr(listen, service):
                    self._open[service] += _listening(service, endpoint)
        except BaseException:
            self.close()
            raise

    def of(self, service: str) -> list[socket.socket]:
        """The sockets of a service, by its name in the settings."""
        return self._open[service]

    def close(self) -> None:
        """Let go of them, answered or not."""
        for opened in self._open.values():
            for each in opened:
                each.close()


def _listening(service: str, endpoint: Endpoint) -> list[socket.socket]:
    try:
        return listening(endpoint.host, endpoint.port)
    except OSError as error:
        number = error.errno if error.errno is not None else 0
        reason = error.strerror or os.strerror(number)
        raise PortUnavailable(f"listen.{service}: {endpoint}: {reason}{HINTS.get(number, '')}") from None
