"""The process that holds a session with a PKCS#11 token and signs. Nothing else of the gateway runs in it.

A token's library may crash, hang, or forbid two threads; here it does so alone. It ends with the process that began it.
"""

import hashlib
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["FAILED", "Token", "serve"]

SIGNED, FAILED = b"+", b"-"  # how an answer begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Where the key is."""

    module: str  # file name of the library that speaks PKCS#11 with it
    label: str
    key: str  # label of the private key
    elliptic: bool

    def __str__(self) -> str:
        return f"key {self.key} of token {self.label}"


def serve(connection: Connection, token: Token, pin: str) -> None:
    """Sign what comes through the connection until it closes; the first answer says whether the key is there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the parent, which closes the connection
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        key = _key(token, pin)
    except Exception as error:
        connection.send_bytes(FAILED + type(error).__name__.encode())
        return
    connection.send_bytes(SIGNED)
    while True:
        try:
            data = connection.recv_bytes()
        except EOFError:
            return
        try:
            connection.send_bytes(SIGNED + _signed(key, data, elliptic=token.elliptic))
        except Exception as error:
            connection.send_bytes(FAILED + type(error).__name__.encode())


def _key(token: Token, pin: str) -> Any:
    import pkcs11

    found = pkcs11.lib(token.module).get_token(token_label=token.label)
    return found.open(user_pin=pin).get_key(label=token.key, object_class=pkcs11.ObjectClass.PRIVATE_KEY)


def _signed(key: Any, data: bytes, *, elliptic: bool) -> bytes:
    import pkcs11
    from pkcs11.util.ec import encode_ecdsa_signature

    if elliptic:
        digest = hashlib.sha256(data).digest()
        return bytes(encode_ecdsa_signature(key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)))
    return bytes(key.sign(data, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS))
