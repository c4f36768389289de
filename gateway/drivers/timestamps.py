"""Time stamps (RFC 3161): asked for over HTTP, and checked before anybody relies on them."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    Verifier,
    VerifierBuilder,
    decode_timestamp_response,
)

from gateway.drivers.http_client import FetchFailed, HttpClient, Wanted
from gateway.drivers.sources import Clock
from providers.cms import CONTEXT_0
from providers.der import SEQUENCE, DerError, children
from receipts.errors import TemporaryError

__all__ = ["Stamp", "StampRefused", "StampUnavailable", "TimeStamps", "check_stamp"]

log = logging.getLogger(__name__)

QUERY_TYPE, REPLY_TYPE = "application/timestamp-query", "application/timestamp-reply"  # RFC 3161 3.4
MAX_RESPONSE_BYTES: Final = 256 * 1024
"""A stamp with a few certificates has 3 to 10 kB."""
MAX_OFFSET: Final = timedelta(minutes=10)
"""Between the authority's clock and ours; more, and one of them is wrong."""
MAX_WORDS: Final = 200  # of an authority that gives none
INTO_THE_STAMP: Final = (SEQUENCE, SEQUENCE, CONTEXT_0, SEQUENCE)
"""Response, ContentInfo (its last element), the content of that, SignedData."""


class StampUnavailable(TemporaryError):
    """No authority gave a time stamp that holds; the text says of each why."""


class StampRefused(ValueError):
    """These bytes are no time stamp that holds; the text says why."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time stamp that was checked."""

    response: bytes  # DER, as the authority sent it
    at: datetime  # by the authority's clock
    source: str  # its URL


class TimeStamps:
    """Stamps from the first of several authorities that gives one.

    Args:
        certificates: the authorities' roots, and intermediates that they do not send.
    """

    def __init__(
        self, client: HttpClient, urls: Sequence[str], certificates: Sequence[x509.Certificate], clock: Clock
    ) -> None:
        self._client = client
        self._urls = tuple(urls)
        self._certificates = tuple(certificates)
        self._clock = clock

    async def __call__(self, data: bytes) -> Stamp:
        """A time stamp over ``data``.

        Raises:
            StampUnavailable: see above.
        """
        failures = []
        for url in self._urls:
            try:
                return await self._ask(url, data)
            except (FetchFailed, StampRefused) as error:
                log.info("no time stamp", extra={"url": url, "reason": str(error)})
                failures.append(f"{url}: {error}")
        raise StampUnavailable("; ".join(failures) or "no authority is configured")

    async def _ask(self, url: str, data: bytes) -> Stamp:
        request = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256).build()
        wanted = Wanted(
            url=url,
            max_bytes=MAX_RESPONSE_BYTES,
            accept=REPLY_TYPE,
            body=request.as_bytes(),
            content_type=QUERY_TYPE,
        )
        response = (await self._client.fetch(wanted)).body or b""
        at = check_stamp(response, data, self._certificates, nonce=request.nonce)
        if abs(at - self._clock.now()) > MAX_OFFSET:
            raise StampRefused(f"it says {at:%Y-%m-%d %H:%M:%SZ}, which is not the time here")
        return Stamp(response, at, url)


def check_stamp(
    response: bytes, data: bytes, certificates: Iterable[x509.Certificate], *, nonce: int | None = None
) -> datetime:
    """When ``data`` was there, by a response whose signature, chain, purpose and digest hold.

    Raises:
        StampRefused: see above.
    """
    if len(response) > MAX_RESPONSE_BYTES:
        raise StampRefused("larger than any time stamp we read")
    try:
        found = decode_timestamp_response(_ordered(response))
        if PKIStatus(found.status) is not PKIStatus.GRANTED:
            raise StampRefused(f"the authority gave none: {_words(found)}")
        _verifier(certificates, nonce).verify_message(found, data)
        return found.tst_info.gen_time
    except StampRefused:
        raise
    except (VerificationError, ValueError) as error:
        raise StampRefused(str(error)) from error


def _verifier(certificates: Iterable[x509.Certificate], nonce: int | None) -> Verifier:
    builder = VerifierBuilder(nonce=nonce)
    for certificate in dict.fromkeys(certificates):
        if certificate.issuer == certificate.subject:
            builder = builder.add_root_certificate(certificate)
        else:
            builder = builder.add_intermediate_certificate(certificate)
    return builder.build()


def _words(found: TimeStampResponse) -> str:
    text = " ".join((PKIStatus(found.status).name.lower(), *found.status_string))
    return "".join(character for character in text if character.isprintable())[:MAX_WORDS]


def _ordered(response: bytes) -> bytes:
    """The response with its certificates in the order that DER asks of a set, which not every authority keeps to.

    They are not under the signature, so that their order changes nothing but whether the response can be read. What
    is no time stamp is given back as it is.
    """
    at, end = 0, len(response)
    try:
        for tag in (*INTO_THE_STAMP, CONTEXT_0):
            at, end = [(body, stop) for kind, _, body, stop in children(response, at, end) if kind == tag][-1]
        certificates = sorted(response[first:last] for _, first, _, last in children(response, at, end))
    except (DerError, IndexError):
        return response
    return response[:at] + b"".join(certificates) + response[end:]
