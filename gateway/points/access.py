"""The formal checks of the access point (RFC 6109 section 3.1.1), all of them, so that a notice can name every fault.

What is checked beyond the RFC's list, and how "conformant" and "coincide" are read, is D15 of docs/decisions.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.points.faults import Fault
from receipts.identifiers import address_key, is_msgid, is_smtp_address, parse_address_list
from receipts.scanner import Fault as FormFault
from receipts.scanner import Header

__all__ = ["AccessRequest", "formal_faults"]

UNREPEATABLE = ("From", "To", "Cc", "Subject", "Message-ID", "Date", "Reply-To")  # RFC 5322 3.6, D15
MB = 1_000_000

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


@dataclass(frozen=True, slots=True, kw_only=True)
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
    return tuple(fault for check in _CHECKS for fault in check(request))


def _conformant_header(request: AccessRequest) -> Iterator[Fault]:  # AP-10
    header = request.header
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


def _one_author(request: AccessRequest) -> Iterator[Fault]:  # AP-11, AP-13
    addresses, readable = _addresses(request.header, "From")
    if not request.header.all("From"):
        yield Fault("Manca il mittente (campo From)", "There is no sender (field From)")
    elif not readable:
        yield Fault("Il mittente (campo From) non è leggibile", "The sender (field From) cannot be read")
    elif len(addresses) != 1:
        yield Fault(
            f"Il campo From deve contenere un solo indirizzo, ne contiene {len(addresses)}",
            f"The field From must hold one address, it holds {len(addresses)}",
        )
    elif address_key(addresses[0]) != address_key(request.reverse_path):
        yield Fault(
            f"Il mittente {addresses[0]} (campo From) è diverso da quello della casella, {request.reverse_path}",
            f"The sender {addresses[0]} (field From) is not that of the mailbox, {request.reverse_path}",
        )


def _readable_recipients(request: AccessRequest) -> Iterator[Fault]:  # AP-10, AP-12
    for name in ("To", "Cc"):
        if not _addresses(request.header, name)[1]:
            yield Fault(f"Il campo {name} non è leggibile", f"The field {name} cannot be read")
    if not _addresses(request.header, "To")[0]:
        yield Fault(
            "Nessun destinatario nel campo To: i soli destinatari in copia non bastano",
            "No recipient in the field To: recipients in copy alone are not enough",
        )


def _same_recipients(request: AccessRequest) -> Iterator[Fault]:  # AP-14
    shown = {address_key(address): address for name in ("To", "Cc") for address in _addresses(request.header, name)[0]}
    routed = {address_key(address): address for address in request.forward_paths}
    for key in sorted(routed.keys() - shown.keys()):
        yield Fault(
            f"Il destinatario {routed[key]} non compare nei campi To e Cc (destinatario nascosto)",
            f"The recipient {routed[key]} does not appear in the fields To and Cc (hidden recipient)",
        )
    for key in sorted(shown.keys() - routed.keys()):
        yield Fault(
            f"Il destinatario {shown[key]} compare nel messaggio ma non è stato indicato per l'invio",
            f"The recipient {shown[key]} appears in the message but was not named for sending",
        )
    for address in request.forward_paths:
        if not is_smtp_address(address):
            yield Fault(
                f"L'indirizzo {address} non è valido per la posta certificata",
                f"The address {address} is not valid for certified mail",
            )


def _no_hidden_copy(request: AccessRequest) -> Iterator[Fault]:  # AP-15
    if any(field.text.strip() for field in request.header.all("Bcc")):
        yield Fault(
            "I destinatari in copia nascosta (campo Bcc) non sono ammessi",
            "Recipients in blind copy (field Bcc) are not admitted",
        )


def _within_size(request: AccessRequest) -> Iterator[Fault]:  # AP-16
    total = request.size * len({address_key(address) for address in request.forward_paths})
    if total > request.max_total_bytes:
        most, is_now = request.max_total_bytes / MB, total / MB
        yield Fault(
            f"Dimensione per numero di destinatari oltre il limite: {is_now:.1f} MB, il massimo è {most:.1f} MB",
            f"Size times number of recipients over the limit: {is_now:.1f} MB, the most is {most:.1f} MB",
        )


_CHECKS: tuple[Callable[[AccessRequest], Iterator[Fault]], ...] = (
    _conformant_header,
    _one_author,
    _readable_recipients,
    _same_recipients,
    _no_hidden_copy,
    _within_size,
)


def _addresses(header: Header, name: str) -> tuple[tuple[str, ...], bool]:
    """The addresses of all fields of this name, and whether every one of these could be read."""
    found: list[str] = []
    readable = True
    for field in header.all(name):
        parsed = parse_address_list(field.value)
        found.extend(parsed.addresses)
        readable = readable and not parsed.faults
    return tuple(found), readable
