"""Passwords at rest: argon2id for those that people choose, SHA-256 for those that we make (D16).

A password of 128 random bits cannot be guessed, so a fast digest keeps it as safe as a slow one. What people choose
is kept with argon2id, 19 MiB and two passes: about 30 ms of one core, and the interpreter's lock is free meanwhile.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.drivers.sources import Ids

__all__ = [
    "UNKNOWN",
    "DevicePassword",
    "device_digest",
    "device_lookup",
    "hash_password",
    "is_device",
    "is_password",
    "new_device",
]

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)

UNKNOWN: Final = "$argon2id$v=19$m=19456,t=2,p=1$ka2MEH7b2PGCbhTxYgu+Yg$8fJQnO89myHBjvoTJ79Am5tk3bSg0x6qH8xJ2A3QPo0"
"""The hash of 256 random bits that nobody kept: checked where there is no account, so that strangers cost the same."""

_LOOKUP_LENGTH: Final = 8
_DEVICE_LENGTH: Final = _LOOKUP_LENGTH + 32
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, repr=False)
class DevicePassword:
    """A password made for one device. ``secret`` is shown to its holder once; the other two are kept."""

    secret: str  # 40 hexadecimal digits: the lookup id, then 128 random bits
    lookup: str
    digest: bytes


def hash_password(password: str) -> str:
    """The argon2id string to keep for a password that somebody chose."""
    return _HASHER.hash(_octets(password))


def is_password(kept: str, password: str) -> bool:
    """Whether ``password`` is the one behind ``kept``; a ``kept`` that is no argon2 string fits nothing."""
    try:
        return _HASHER.verify(kept, _octets(password))
    except (VerificationError, InvalidHashError, UnicodeEncodeError):  # the last: an argon2 string is ASCII
        return False


def new_device(ids: Ids) -> DevicePassword:
    secret = ids.token()[:_LOOKUP_LENGTH] + ids.token()
    return DevicePassword(secret, secret[:_LOOKUP_LENGTH], device_digest(secret))


def device_lookup(password: str) -> str | None:
    """The lookup id of what has the form of a device password, else None."""
    if len(password) != _DEVICE_LENGTH or not _HEX.issuperset(password):
        return None
    return password[:_LOOKUP_LENGTH]


def device_digest(password: str) -> bytes:
    return hashlib.sha256(_octets(password)).digest()


def is_device(kept: bytes, password: str) -> bool:
    """Whether ``password`` is the device password whose digest is ``kept``; takes the same time for every wrong one."""
    return hmac.compare_digest(kept, device_digest(password))


def _octets(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")  # whatever a peer sends is some password, never an error
