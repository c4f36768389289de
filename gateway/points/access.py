"""The formal checks of the access point (RFC 6109 section 3.1.1), all of them, so that a notice can name every fault.

What is checked beyond the RFC's list, and how "conformant" and "coincide" are read, is D15 of docs/decisions.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.points.faults import Fault
from receipts.identifiers import AddressList, address_key, is_msgid, is_smtp_address, parse_address_list
from receipts.records import record
from receipts.scanner import Fault as FormFault
from receipts.scanner import Header

__all__ = ["AccessRequest", "formal_faults"]

UNREPEATABLE = ("From", "To", "Cc", "Subject", "Message-ID", "Date", "Reply-To")  # RFC 5322 3.6, D15
MB = 1_000_000
NAMED_ONE_BY_ONE: Final = 100
"""Addresses at fault that are each named; of more there is only a number, as a header may hold ten thousand."""

_OTHER_HEADER_FAULT = Fault(
    "L'intestazione non è conforme a RFC 5322",
    "The header does not conform to RFC 5322",
)
_HEADER_FAULTS: Mapping[FormFault, Fault] = {
    FormFault.EIGHT_BIT_HEADER: Fault(
        "L'intestazione contiene caratteri non ASCII non codificati: il programma di posta deve codificarli",
        "The header holds unencoded non-ASCII characters: the mail program has to encode them",
    ),
    FormFault.NUL_IN_HEADER: Fault("L'intestazione contiene un carattere NUL", "The header holds a NUL character"),
    FormFault.BARE_LINE_END: Fault(
        "L'intestazione contiene un ritorno a capo isolato", "The header holds a stray line ending"
    ),
    FormFault.NOT_A_FIELD: Fault("Una riga dell'intestazione non è un campo", "A line of the header is not a field"),
    FormFault.BAD_FIELD_NAME: Fault(
        "Il nome di un campo dell'intestazione non è valido", "The name of a header field is not valid"
    ),
    FormFault.HEADER_TOO_LONG: Fault("L'intestazione supera 256 KB", "The header is longer than 256 KB"),
    FormFault.FIELD_TOO_LONG: Fault("Un campo dell'intestazione supera 64 KB", "A header field is longer than 64 KB"),
    FormFault.TOO_MANY_FIELDS: Fault("L'intestazione contiene troppi campi", "The header holds too many fields"),
}


@record(kw_only=True)
class AccessRequest:
    """What the access point looks at when it decides on a submission."""

    header: Header
    reverse_path: str
    forward_paths: Sequence[str]
    size: int  # of the message, in bytes
    max_total_bytes: int  # size times recipients


def formal_faults(request: AccessRequest) -> tuple[Fault, ...]:
    """Every formal fault of a submission, in the order of the checks; none means that it may enter.

    The sender's own words stand in no fault but the addresses that are wrong.
    """
    from_, to, cc = (_addresses(request.header, name) for name in ("From", "To", "Cc"))
    case = _Case(request, request.header, from_, to, cc)
    return tuple(fault for check in _CHECKS for fault in check(case))


@dataclass(frozen=True, slots=True)
class _Case:
    """A request, and the addresses it shows: each field is read once."""

    request: AccessRequest
    header: Header
    from_: AddressList
    to: AddressList
    cc: AddressList


def _conformant_header(case: _Case) -> Iterator[Fault]:  # AP-10
    header = case.header
    if not header.fields:
        yield Fault("Il messaggio non ha un'intestazione leggibile", "The message has no readable header")
        return
    for fault in header.faults:
        yield _HEADER_FAULTS.get(fault, _OTHER_HEADER_FAULT)
    for name in UNREPEATABLE:
        if len(header.all(name)) > 1:
            yield Fault(f"Il campo {name} è ripetuto", f"The field {name} is repeated")
    msgid = header.first("Message-ID")
    if msgid is not None and not is_msgid(msgid.text.strip()):
        yield Fault("Il campo Message-ID non è corretto", "The field Message-ID is not correct")
    for name, found in (("To", case.to), ("Cc", case.cc)):
        if found.faults:
            yield Fault(f"Il campo {name} non è leggibile", f"The field {name} cannot be read")


def _one_author(case: _Case) -> Iterator[Fault]:  # AP-11
    if not case.header.all("From"):
        yield Fault("Manca il mittente (campo From)", "There is no sender (field From)")
    elif case.from_.faults:
        yield Fault("Il mittente (campo From) non è leggibile", "The sender (field From) cannot be read")
    elif len(case.from_.addresses) != 1:
        yield Fault(
            f"Il campo From deve contenere un solo indirizzo, ne contiene {len(case.from_.addresses)}",
            f"The field From must hold one address, it holds {len(case.from_.addresses)}",
        )


def _author_is_sender(case: _Case) -> Iterator[Fault]:  # AP-13
    if len(case.from_.addresses) != 1:
        return
    author, sender = case.from_.addresses[0], case.request.reverse_path
    if address_key(author) != address_key(sender):
        yield Fault(
            f"Il mittente {author} (campo From) è diverso da quello della casella, {sender}",
            f"The sender {author} (field From) is not that of the mailbox, {sender}",
        )


def _some_primary_recipient(case: _Case) -> Iterator[Fault]:  # AP-12
    if not case.to.addresses:
        yield Fault(
            "Nessun destinatario nel campo To: i soli destinatari in copia non bastano",
            "No recipient in the field To: recipients in copy alone are not enough",
        )


def _same_recipients(case: _Case) -> Iterator[Fault]:  # AP-14
    named = {address_key(address): address for address in (*case.to.addresses, *case.cc.addresses)}
    routed = {address_key(address): address for address in case.request.forward_paths}
    yield from _each(
        [routed[key] for key in sorted(routed.keys() - named.keys())],
        Fault(
            "Il destinatario {} non compare nei campi To e Cc (destinatario nascosto)",
            "The recipient {} does not appear in the fields To and Cc (hidden recipient)",
        ),
    )
    yield from _each(
        [named[key] for key in sorted(named.keys() - routed.keys())],
        Fault(
            "Il destinatario {} compare nel messaggio ma non è stato indicato per l'invio",
            "The recipient {} appears in the message but was not named for sending",
        ),
    )
    yield from _each(
        [address for address in routed.values() if not is_smtp_address(address)],
        Fault("L'indirizzo {} non è valido per la posta certificata", "The address {} is not valid for certified mail"),
    )


def _no_hidden_copy(case: _Case) -> Iterator[Fault]:  # AP-15
    if any(field.text.strip() for field in case.header.all("Bcc")):
        yield Fault(
            "I destinatari in copia nascosta (campo Bcc) non sono ammessi",
            "Recipients in blind copy (field Bcc) are not admitted",
        )


def _within_size(case: _Case) -> Iterator[Fault]:  # AP-16
    request = case.request
    total = request.size * len({address_key(address) for address in request.forward_paths})
    if total > request.max_total_bytes:
        most, is_now = request.max_total_bytes / MB, total / MB
        yield Fault(
            f"Dimensione per numero di destinatari oltre il limite: {is_now:.1f} MB, il massimo è {most:.1f} MB",
            f"Size times number of recipients over the limit: {is_now:.1f} MB, the most is {most:.1f} MB",
        )


_CHECKS: tuple[Callable[[_Case], Iterator[Fault]], ...] = (
    _conformant_header,
    _one_author,
    _author_is_sender,
    _some_primary_recipient,
    _same_recipients,
    _no_hidden_copy,
    _within_size,
)


def _addresses(header: Header, name: str) -> AddressList:
    """What all fields of this name hold together."""
    found = [parse_address_list(field.value) for field in header.all(name)]
    return AddressList(
        tuple(address for each in found for address in each.addresses),
        tuple(fault for each in found for fault in each.faults),
    )


def _each(addresses: Sequence[str], fault: Fault) -> Iterator[Fault]:
    """The fault of each address, which takes the place of the braces."""
    for address in addresses[:NAMED_ONE_BY_ONE]:
        yield Fault(fault.italian.replace("{}", address), fault.english.replace("{}", address))
    more = len(addresses) - NAMED_ONE_BY_ONE
    if more > 0:
        yield Fault(f"Lo stesso vale per altri {more} indirizzi", f"The same holds for {more} other addresses")
