"""The origin of ordinary mail, as far as its sender's domain tells (SPF, DKIM, DMARC). Refuses nothing, ever."""

import asyncio
import logging
from typing import Final

from gateway.drivers.dkim_checker import check_signatures, find_keys, signature_fields
from gateway.drivers.dmarc import check_dmarc
from gateway.drivers.dns import Dns
from gateway.drivers.spf import check_spf
from gateway.flows.outcomes import Arrival
from gateway.points.authentication import Authentication, Dkim, Dmarc, Result, Spf
from receipts.identifiers import domain_of, parse_address_list
from receipts.octets import Octets
from receipts.scanner import Header

__all__ = ["Authenticate"]

log = logging.getLogger(__name__)

AT_ONCE: Final = 16  # messages that are asked about at the same time; more wait
WITHOUT_ANSWER: Final = Authentication(
    spf=Spf(result=Result.TEMPERROR),
    dkim=(Dkim(result=Result.TEMPERROR),),
    dmarc=Dmarc(result=Result.TEMPERROR),
)


class Authenticate:
    """Asks the DNS about a message.

    Args:
        authserv_id: by which name our verdicts are known (RFC 8601 section 2.2).
        seconds: for all questions about one message; what is not known by then never will be.
    """

    def __init__(self, dns: Dns, *, authserv_id: str, seconds: float) -> None:
        self.authserv_id = authserv_id
        self._dns = dns
        self._seconds = seconds
        self._free = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, arrival: Arrival, message: Octets, header: Header) -> Authentication:
        """The verdicts. Never raises for anything the DNS or the message does."""
        try:
            async with asyncio.timeout(self._seconds), self._free:
                return await self._ask(arrival, message, header)
        except TimeoutError:
            return WITHOUT_ANSWER
        except Exception:
            log.exception("the origin of a message could not be looked into")
            return WITHOUT_ANSWER

    async def _ask(self, arrival: Arrival, message: Octets, header: Header) -> Authentication:
        signatures = await asyncio.to_thread(signature_fields, message, header)
        spf, keys = await asyncio.gather(
            check_spf(
                self._dns,
                address=arrival.peer.address,
                helo=arrival.peer.helo or "",
                reverse_path=arrival.reverse_path,
            ),
            find_keys(self._dns, signatures),
        )
        found = await asyncio.to_thread(check_signatures, message, header, signatures, keys)
        dkim = tuple(found) or (Dkim(result=Result.NONE),)
        dmarc = await check_dmarc(self._dns, author_domain=_author_domain(header), spf=spf, dkim=dkim)
        return Authentication(spf=spf, dkim=dkim, dmarc=dmarc)


def _author_domain(header: Header) -> str:
    authors = header.all("From")
    found = parse_address_list(authors[0].value).addresses if len(authors) == 1 else ()
    return domain_of(found[0]) if len(found) == 1 else ""
