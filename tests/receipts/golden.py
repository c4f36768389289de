"""Builds the golden messages from their facts; as a program, writes the expected bytes again, on purpose."""

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from lxml import etree
from lxml.etree import _Element

from receipts.acceptance import acceptance_receipt
from receipts.brief import brief_copy
from receipts.delivery import delivery_receipt
from receipts.envelopes import anomaly_envelope, transport_envelope
from receipts.facts import CertificationData, Deadline, Recipient
from receipts.notices import non_acceptance_notice, non_delivery_notice, virus_notice
from receipts.octets import Octets
from receipts.original import Original, as_seven_bit, read_original, reidentified
from receipts.scanner import scan
from receipts.takecharge import take_charge_receipt
from receipts.timeout import timeout_notice
from receipts.wire import CertificationType, ErrorKind, ReceiptForm, RecipientKind
from receipts.writer import Boundaries, Unsealed

GOLDEN = Path(__file__).parent.parent / "golden"


@dataclass(frozen=True)
class Words:
    italian: str
    english: str


def cases(kind: str = "*") -> list[Path]:
    return sorted(facts.parent for facts in GOLDEN.glob(f"{kind}/*/facts.toml"))


def facts_of(case: Path) -> dict[str, Any]:
    return tomllib.loads((case / "facts.toml").read_text("utf-8"))


def original_of(case: Path) -> Octets | None:
    file = case / "original.eml"
    return Octets.of(file.read_bytes()) if file.exists() else None


def built(case: Path) -> Unsealed:
    """The message of a case, from its facts."""
    facts = facts_of(case)
    kind = case.parent.name
    common: dict[str, Any] = {
        "service_address": facts["service_address"],
        "boundaries": Boundaries(facts["token"]),
    }
    if kind == "anomaly":
        return _anomaly(facts, original_of(case), common)
    original = original_of(case)
    if kind == "envelope":
        assert original is not None
        return _envelope(facts, original, common)
    said = _said(facts, None if original is None or kind != "acceptance" else _read(original))
    common["message_id"] = facts["message_id"]
    reasons = [Words(**reason) for reason in facts.get("reasons", [])]
    match kind:
        case "acceptance":
            return acceptance_receipt(said, **common)
        case "non-acceptance":
            return non_acceptance_notice(said, reasons=reasons, **common)
        case "non-delivery":
            return non_delivery_notice(said, reasons=reasons, **common)
        case "timeout":
            return timeout_notice(said, Deadline[facts["deadline"].upper()], reasons=reasons, **common)
        case "virus":
            return virus_notice(said, to=facts["to"], reasons=reasons, **common)
        case "take-charge":
            return take_charge_receipt(said, to=facts["to"], **common)
        case "delivery-complete":
            return delivery_receipt(said, form=ReceiptForm.COMPLETE, original=original, **common)
        case "delivery-brief":
            assert original is not None
            copy = brief_copy(original, scan(original))
            return delivery_receipt(said, form=ReceiptForm.BRIEF, original=copy, **common)
        case "delivery-concise":
            return delivery_receipt(said, form=ReceiptForm.CONCISE, original=None, **common)
    raise AssertionError(f"{kind} is no kind of golden message")


def written(message: Unsealed) -> bytes:
    """The unsealed message as a file that any mail program can open."""
    return message.headers + b"MIME-Version: 1.0\r\n" + message.content.read()


@dataclass(frozen=True)
class Golden:
    """A golden message as built now, and as other people's parsers read it."""

    case: Path
    facts: dict[str, Any]
    header: bytes
    content: bytes
    tree: EmailMessage

    @classmethod
    def of(cls, case: Path) -> "Golden":
        message = built(case)
        file = written(message)
        tree = message_from_bytes(file, policy=policy.default)
        assert isinstance(tree, EmailMessage)
        return cls(case, facts_of(case), message.headers, message.content.read(), tree)

    @property
    def kind(self) -> str:
        return self.case.parent.name

    @property
    def original(self) -> bytes:
        """The message on which the case rests."""
        return (self.case / "original.eml").read_bytes()

    def values(self, name: str) -> list[str]:
        return [str(value) for value in self.tree.get_all(name, [])]

    def shape(self) -> list[str]:
        return [part.get_content_type() for part in self.tree.iter_parts()]

    def text(self, subtype: str) -> str:
        alternative = next(self.tree.iter_parts())
        return str(next(p for p in alternative.iter_parts() if p.get_content_subtype() == subtype).get_content())

    def certification(self) -> _Element:
        """The root element of ``daticert.xml``."""
        part = next(part for part in self.tree.iter_parts() if part.get_content_type() == "application/xml")
        return etree.fromstring(part.get_payload(decode=True))

    def enclosed(self) -> bytes:
        """The bytes of ``postacert.eml``, cut out by hand."""
        delimiter = f"\r\n--mx{self.facts['token']}".encode("ascii")
        part = self.content.split(delimiter)[-2]
        return part.partition(b"\r\n\r\n")[2]


def _read(message: Octets) -> Original:
    seven_bit = as_seven_bit(message, scan(message))
    return read_original(seven_bit, scan(seven_bit))


def _envelope(facts: dict[str, Any], message: Octets, common: dict[str, Any]) -> Unsealed:
    original = _read(message)
    data = _said(facts, original)
    received = facts["received"].encode("ascii").replace(b"\n", b"\r\n")
    return transport_envelope(
        data,
        original=reidentified(original, data.pec_msgid, received),
        original_header=original.header,
        received=received,
        **common,
    )


def _anomaly(facts: dict[str, Any], arrived: Octets | None, common: dict[str, Any]) -> Unsealed:
    assert arrived is not None
    original = read_original(arrived, scan(arrived))
    return anomaly_envelope(
        at=_at(facts),
        sender=original.from_address or facts["reverse_path"],
        recipients=facts["recipients"],
        subject=original.subject,
        reason=Words(**facts["reason"]),
        arrived=arrived,
        arrived_header=original.header,
        reverse_path=facts["reverse_path"],
        **common,
    )


def _said(facts: dict[str, Any], original: Original | None) -> CertificationData:
    """The certification data of a case; what an original says itself is taken from there."""
    recipients = tuple(
        Recipient(address=recipient["address"], kind=RecipientKind(recipient["kind"]))
        for recipient in facts["recipients"]
    )
    form = facts.get("receipt_form")
    return CertificationData(
        type=CertificationType.ENVELOPE,
        error=ErrorKind(facts.get("error", "nessuno")),
        sender=facts["sender"],
        recipients=recipients,
        reply_to=facts["reply_to"] if original is None else original.reply_to,
        subject=facts.get("subject") if original is None else original.subject,
        provider=facts["provider"],
        at=_at(facts),
        pec_msgid=facts["pec_msgid"],
        msgid=facts.get("msgid") if original is None else original.msgid,
        receipt_form=(form and ReceiptForm(form)) if original is None else original.requested_form,
        delivered_to=facts.get("delivered_to"),
        taken_for=tuple(facts.get("taken_for", ())),
        error_text=facts.get("error_text"),
    )


def _at(facts: dict[str, Any]) -> datetime:
    at = facts["at"]
    assert isinstance(at, datetime)
    return at


def _rewritten(kinds: list[str]) -> Iterator[Path]:
    for case in (case for kind in kinds or ["*"] for case in cases(kind)):
        file, expected = case / "expected.eml", written(built(case))
        if not file.exists() or file.read_bytes() != expected:
            file.write_bytes(expected)
            yield file


if __name__ == "__main__":
    for changed in _rewritten(sys.argv[1:]):
        print(changed.relative_to(GOLDEN))
