"""Certified mail as a program of somebody else reads it: with the ``email`` package, ElementTree and OpenSSL."""

import email
import email.policy
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage, Message
from pathlib import Path
from xml.etree import ElementTree as ET

__all__ = ["CertifiedMail", "openssl_verifies", "read_mail"]

KINDS = {
    ("X-Ricevuta", "accettazione"): "T1 acceptance",
    ("X-Ricevuta", "non-accettazione"): "T2 non-acceptance",
    ("X-Trasporto", "posta-certificata"): "T4 envelope",
    ("X-Ricevuta", "presa-in-carico"): "T5 take-charge",
    ("X-Trasporto", "errore"): "T6 anomaly",
    ("X-Ricevuta", "rilevazione-virus"): "T7 virus",
    ("X-Ricevuta", "avvenuta-consegna"): "T9 delivery",
    ("X-Ricevuta", "errore-consegna"): "T10 non-delivery",
}
FOR_VIRUSES = {"T2 non-acceptance": "T3 non-acceptance, virus", "T10 non-delivery": "T8 non-delivery, virus"}
FORMS = {"completa": "complete", "breve": "brief", "sintetica": "concise"}


@dataclass(frozen=True)
class CertifiedMail:
    """A message with X-Ricevuta or X-Trasporto."""

    raw: bytes
    message: EmailMessage
    kind: str
    data: ET.Element | None  # daticert.xml; anomaly envelopes have none

    @property
    def reference(self) -> str | None:
        """The Message-ID of the client that it is about."""
        found = self.message["X-Riferimento-Message-ID"]
        return None if found is None else str(found).strip()

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def return_path(self) -> str:
        return str(self.message["Return-Path"])

    @property
    def original(self) -> Message | None:
        """What postacert.eml holds."""
        return next((part for part in self.message.walk() if part.get_content_type() == "message/rfc822"), None)

    @property
    def text(self) -> str:
        """What a person reads."""
        part = next(part for part in self.message.walk() if part.get_content_type() == "text/plain")
        assert isinstance(part, EmailMessage)
        return str(part.get_content())

    def value(self, path: str) -> str | None:
        """Text of an element of the certification data."""
        assert self.data is not None
        return self.data.findtext(path)

    def values(self, path: str) -> list[str]:
        assert self.data is not None
        return [element.text or "" for element in self.data.iterfind(path)]

    @property
    def pec_msgid(self) -> str:
        return self.value("dati/identificativo") or ""

    @property
    def delivered_to(self) -> str | None:
        return self.value("dati/consegna")

    @property
    def taken_for(self) -> list[str]:
        return self.values("dati/ricezione")


def read_mail(raw: bytes) -> CertifiedMail | None:
    """None if it is no certified message."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    marks = [(name, str(message[name])) for name in ("X-Ricevuta", "X-Trasporto") if name in message]
    if not marks:
        return None
    assert len(marks) == 1, marks
    data = next(_certification_data(message), None)
    kind = KINDS[marks[0]]
    if kind == "T9 delivery":
        kind = f"{kind}, {_form(message, data)}"
    if message["X-VerificaSicurezza"] == "errore":
        kind = FOR_VIRUSES[kind]
    return CertifiedMail(raw, message, kind, data)


def openssl_verifies(raw: bytes, ca_file: str, folder: Path) -> bytes:
    """What ``openssl cms -verify`` says was signed; fails if it does not hold."""
    source, content = folder / "message.eml", folder / "content"
    source.write_bytes(raw)
    command = ["openssl", "cms", "-verify", "-in", str(source), "-CAfile", ca_file, "-out", str(content)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{raw[:2000].decode(errors='replace')}"
    return content.read_bytes()


def _form(message: Message, data: ET.Element | None) -> str:
    """Which of the three delivery receipts: without the original concise, else what was asked for."""
    if not any(part.get_content_type() == "message/rfc822" for part in message.walk()):
        return "concise"
    assert data is not None
    asked = data.find("dati/ricevuta")
    return FORMS["completa" if asked is None else asked.get("tipo", "completa")]


def _certification_data(message: Message) -> Iterator[ET.Element]:
    signed = message.get_payload()
    if not (message.is_multipart() and isinstance(signed, list)):
        return
    first = signed[0]
    assert isinstance(first, Message)
    for part in first.iter_parts() if isinstance(first, EmailMessage) else ():
        if part.get_content_type() == "application/xml":
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            yield ET.fromstring(payload)
