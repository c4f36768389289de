"""DKIM signatures on mail that leaves for ordinary servers (RFC 6376).

The signature stands outside everything the provider sealed: sealed bytes stay as they are. dkimpy chooses and
canonicalises header fields; the digest of the body is streamed, and RSA is cryptography's, many times as fast as its.
"""

import asyncio
import hashlib
import logging
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import dkim
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from dkim.canonicalization import CanonicalizationPolicy

from gateway.drivers.dkim_body import body_digest
from gateway.drivers.dkim_keys import DkimKey, DkimKeys
from gateway.drivers.keyfiles import KeyRefused
from receipts.headers import CRLF
from receipts.identifiers import domain_of, parse_address_list
from receipts.octets import Octets
from receipts.scanner import Header, scan_header

__all__ = ["DkimSigner", "dkim_signature"]

log = logging.getLogger(__name__)

ONCE_MORE: Final = ("from", "reply-to", "to", "cc", "subject", "date", "message-id", "mime-version", "content-type")
"""Signed once more than they stand there, so that nobody can add one in front (8.15)."""
AS_OFTEN: Final = ("sender", "auto-submitted", "x-trasporto", "x-tiporicevuta", "x-riferimento-message-id")
CANONICAL: Final = "relaxed/simple"
"""Header fields may be refolded on the way; of the body every byte is sealed anyway."""
AT_ONCE: Final = 32_000  # bytes; a larger message is hashed in a thread
REMEMBERED: Final = 64
SHA256: Final = hashes.SHA256()
LINE: Final = 72


class DkimSigner:
    """Signs for the domain of the From field, if that has a key."""

    def __init__(self, keys: DkimKeys) -> None:
        self._keys = keys
        self._made: OrderedDict[tuple[int, str, str], bytes] = OrderedDict()

    async def __call__(self, message: Octets, body_id: int, at: datetime) -> Octets:
        """The message with a signature in front, or as it is if there is no key, or none that can be used.

        A message to many domains is hashed once: ``body_id`` names its bytes.
        """
        header = scan_header(message.slice(0, min(message.size, 400_000)))
        domain = _author_domain(header)
        try:
            key = self._keys.current(domain) if domain else None
        except (KeyRefused, OSError) as error:
            log.error("ordinary mail leaves without a DKIM signature", exc_info=error, extra={"domain": domain})
            return message
        if key is None:
            return message
        made = (body_id, key.domain, key.selector)
        signature = self._made.get(made)
        if signature is None:
            if message.size <= AT_ONCE:
                signature = dkim_signature(message, header, key, at)
            else:
                signature = await asyncio.to_thread(dkim_signature, message, header, key, at)
            self._made[made] = signature
            if len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
        return Octets.of(signature, message)


def dkim_signature(message: Octets, header: Header, key: DkimKey, at: datetime) -> bytes:
    """The DKIM-Signature field, with its CRLF."""
    names = [name.encode("ascii") for name in _signed_names(header)]
    tags = (
        f"v=1; a=rsa-sha256; c={CANONICAL}; d={key.domain};".encode("ascii"),
        f" s={key.selector}; t={int(at.timestamp())};".encode("ascii"),
        b" h=" + b":\r\n  ".join(b":".join(some) for some in _batched(names, 6)) + b";",
        b" bh=" + b64encode(body_digest(message.slice(header.stop).pieces(), relaxed=False)) + b";",
        b" b=",
    )
    value = b" " + b"\r\n".join(tags)
    policy = CanonicalizationPolicy.from_c_value(CANONICAL.encode("ascii"))
    fields, _ = dkim.rfc822_parse(message.read(0, header.stop))
    hasher = hashlib.sha256()
    unsigned = (b"DKIM-Signature", value + CRLF)
    dkim.hash_headers(hasher, policy, policy.canonicalize_headers(fields), names, unsigned, {})
    signature = b64encode(key.private.sign(hasher.digest(), padding.PKCS1v15(), Prehashed(SHA256)))
    lines = (signature[start : start + LINE] for start in range(0, len(signature), LINE))
    return b"DKIM-Signature:" + value + b"\r\n  ".join(lines) + CRLF


def _batched(names: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (names[start : start + size] for start in range(0, len(names), size))


def _signed_names(header: Header) -> Sequence[str]:
    names: list[str] = []
    for name in ONCE_MORE:
        names += [name] * (len(header.all(name)) + 1)
    for name in AS_OFTEN:
        names += [name] * len(header.all(name))
    return names


def _author_domain(header: Header) -> str:
    """Of the one author; empty if there is none, or more than one."""
    authors = header.all("From")
    found = parse_address_list(authors[0].value).addresses if len(authors) == 1 else ()
    return domain_of(found[0]) if len(found) == 1 else ""
