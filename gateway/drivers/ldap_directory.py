"""The directory of providers on an LDAP server (RFC 6109 4.5): read out as LDIF, or made equal to an index.

ldap3 blocks: this is for commands. What comes out is signed by nobody; what proves it is TLS to a server one trusts.
"""

import contextlib
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.utils.dn import parse_dn

from gateway.drivers.dialer import is_loopback
from providers.directory import MAX_INDEX_BYTES
from providers.ldif import MAX_RECORDS, write_record
from providers.records import unescaped

__all__ = ["Entry", "LdapFailed", "LdapServer", "Pushed", "pull", "push"]

ROOT: Final = "o=postacert"
SECONDS: Final = 30
PAGE: Final = 500
PORTS: Final = {"ldap": 389, "ldaps": 636}

Values = Mapping[str, Sequence[bytes]]
Entry = tuple[str, Values]
"""Distinguished name, and values by attribute."""


class LdapFailed(Exception):
    """The server cannot be reached, is not the right one, or does not do it; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapServer:
    """Where the directory is, and as whom we come.

    Args:
        url: ``ldaps://host``, or ``ldap://host`` with ``start_tls``; in clear only on this machine.
        password: with ``user``, a distinguished name; nobody in particular without.
        ca_file: authorities of its certificate; those of the system if left out.
    """

    url: str
    user: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    start_tls: bool = False


@dataclass(frozen=True, slots=True)
class Pushed:
    """How many entries were changed on the server."""

    added: int
    changed: int
    removed: int


def pull(server: LdapServer) -> bytes:
    """The whole directory as LDIF, the root first, each provider before its secondary environments.

    Raises:
        LdapFailed: see above.
    """
    with _connected(server) as connection:
        entries = sorted(_entries(connection), key=lambda entry: _key(entry[0]))
    if not entries:
        raise LdapFailed(f"{server.url}: there is no {ROOT}")
    records = (write_record(dn, _in_order(values)) for dn, values in entries)
    return b"version: 1\n\n" + b"".join(records)


def push(server: LdapServer, wanted: Sequence[Entry]) -> Pushed:
    """Make the directory on the server equal to these entries, of which none is more or less than another's parent.

    Raises:
        LdapFailed: see above; what was done so far stays.
    """
    with _connected(server) as connection:
        there = {_key(dn): (dn, values) for dn, values in _entries(connection)}
        wished = {_key(dn): (dn, values) for dn, values in wanted}
        gone = sorted(there.keys() - wished.keys(), key=len, reverse=True)
        for key in gone:
            connection.delete(there[key][0])
        added = changed = 0
        for key in sorted(wished, key=len):
            dn, values = wished[key]
            if key not in there:
                connection.add(dn, attributes={name: list(found) for name, found in values.items()})
                added += 1
            elif changes := _changes(there[key][1], values):
                connection.modify(there[key][0], changes)
                changed += 1
    return Pushed(added, changed, len(gone))


@contextlib.contextmanager
def _connected(server: LdapServer) -> Iterator[ldap3.Connection]:
    url = urlsplit(server.url)
    if url.scheme not in PORTS or not url.hostname:
        raise LdapFailed(f"{server.url}: an address is ldaps://HOST[:PORT] or ldap://HOST[:PORT]")
    if url.scheme == "ldap" and not server.start_tls and not is_loopback(url.hostname):
        raise LdapFailed(f"{server.url}: not in clear to another machine; ldaps, or STARTTLS")
    tls = ldap3.Tls(
        validate=ssl.CERT_REQUIRED,
        version=ssl.PROTOCOL_TLS_CLIENT,
        ca_certs_file=None if server.ca_file is None else str(server.ca_file),
        local_certificate_file=None if server.certificate_file is None else str(server.certificate_file),
        local_private_key_file=None if server.key_file is None else str(server.key_file),
    )
    port = url.port or PORTS[url.scheme]
    place = ldap3.Server(
        url.hostname, port, use_ssl=url.scheme == "ldaps", tls=tls, get_info=ldap3.NONE, connect_timeout=SECONDS
    )
    try:
        connection = ldap3.Connection(
            place,
            server.user,
            server.password,
            receive_timeout=SECONDS,
            raise_exceptions=True,
            auto_referrals=False,
            auto_range=False,
            check_names=False,
        )
        connection.open()
        if server.start_tls:
            connection.start_tls()
        connection.bind()
        with connection:
            yield connection
    except (LDAPException, OSError) as error:
        raise LdapFailed(f"{server.url}: {_reason(error)}") from error


def _entries(connection: ldap3.Connection) -> list[Entry]:
    """Everything below the root, and itself; bounded in number and size."""
    found: list[Entry] = []
    size = 0
    try:
        pages = connection.extend.standard.paged_search(
            ROOT, "(objectClass=*)", ldap3.SUBTREE, attributes=[ldap3.ALL_ATTRIBUTES], paged_size=PAGE, generator=True
        )
        for entry in pages:
            if entry["type"] != "searchResEntry":
                continue
            values: dict[str, list[bytes]] = {name: list(raw) for name, raw in entry["raw_attributes"].items()}
            size += sum(len(value) for raw in values.values() for value in raw)
            found.append((entry["dn"], values))
            if len(found) > MAX_RECORDS or size > MAX_INDEX_BYTES:
                raise LdapFailed("the directory is larger than any that we read")
    except ldap3.core.exceptions.LDAPNoSuchObjectResult:
        return []
    return found


def _in_order(values: Values) -> Iterator[tuple[str, bytes]]:
    """The class of the entry first, as people read it."""
    for name in sorted(values, key=lambda each: (each.lower() != "objectclass", each.lower())):
        for value in values[name]:
            yield name, value


def _changes(there: Values, wished: Values) -> dict[str, list[tuple[str, list[bytes]]]]:
    """What is to be replaced, by attribute."""
    before = {_plain(name): sorted(values) for name, values in there.items()}
    changes: dict[str, list[tuple[str, list[bytes]]]] = {}
    for name, values in wished.items():
        if before.pop(_plain(name), None) != sorted(values):
            changes[name] = [(ldap3.MODIFY_REPLACE, list(values))]
    changes |= {name: [(ldap3.MODIFY_REPLACE, [])] for name in before if name != "objectclass"}
    return changes


def _plain(name: str) -> str:
    return name.lower()


def _key(dn: str) -> tuple[str, ...]:
    """A distinguished name for comparing: case and spaces do not count, and a parent is shorter than its children."""
    return tuple(f"{name}={unescaped(value)}".lower().strip() for name, value, _ in reversed(parse_dn(dn)))


def _reason(error: Exception) -> str:
    text: Any = getattr(error, "description", None) or str(error) or type(error).__name__
    return str(text).replace("\n", " ")[:300]
