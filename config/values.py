"""The small values that settings are made of: where a server stands, a domain, an address, a file."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, Strict

__all__ = [
    "HIGHEST_PORT",
    "MB",
    "Address",
    "Domain",
    "Endpoint",
    "Listeners",
    "LocalPath",
    "Positive",
    "ServerSocket",
    "StorageUrl",
    "TimeZone",
]

MB = 1_000_000
HIGHEST_PORT = 65_535
MAX_DOMAIN = 253
_LABEL = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens or stands. ``host`` is "" for every address of the machine, and never has brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host or "*"
        return f"{host}:{self.port}"


def _endpoint(value: object) -> object:
    if not isinstance(value, str):
        return value
    host, colon, port = value.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError('an IPv6 address stands in brackets, as in "[::1]:25"')
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= HIGHEST_PORT):
        raise ValueError('must be "host:port", as in "127.0.0.1:25" or "*:25"')
    return Endpoint("" if host == "*" else host, int(port))


def _server_socket(value: str) -> str:
    place = value if value.startswith("/") else _endpoint(value)
    if isinstance(place, Endpoint) and not (place.host and place.port):
        raise ValueError('must be "/path/of/a/socket" or "host:port", as in "127.0.0.1:3310"')
    return value


def _domain(value: str) -> str:
    if len(value) > MAX_DOMAIN or not all(map(_LABEL.fullmatch, value.split("."))):
        raise ValueError("must be a domain name in ASCII (an international one in its xn-- form)")
    return value.lower()


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError('must be a name of the time zone database, as in "Europe/Rome"') from None
    return value


def _address(value: str) -> str:
    local_part, at, domain = value.rpartition("@")
    if not (at and local_part and local_part.isascii() and local_part.isprintable() and " " not in local_part):
        raise ValueError('must be a bare address, as in "posta-certificata@pec.example"')
    return f"{local_part}@{_domain(domain)}"


def _storage_url(value: str) -> str:
    if not value.startswith(("sqlite:////", "postgresql+psycopg://")):
        raise ValueError('must be "sqlite:////absolute/path" or "postgresql+psycopg://user@host:port/database"')
    return value


LocalPath = Annotated[Path, Strict(False)]
Listeners = Annotated[tuple[Annotated[Endpoint, BeforeValidator(_endpoint)], ...], Strict(False)]
Domain = Annotated[str, AfterValidator(_domain)]
Address = Annotated[str, AfterValidator(_address)]
Positive = Annotated[int, Field(gt=0)]
TimeZone = Annotated[str, AfterValidator(_zone)]
ServerSocket = Annotated[str, AfterValidator(_server_socket)]
StorageUrl = Annotated[str, AfterValidator(_storage_url)]
