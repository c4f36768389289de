"""A certified provider of somebody else's making: OpenSSL, the ``email`` package and nothing of this product.

It has holders (``mario``, ``lucia``), seals their messages, takes what is sent to them and answers it, in one of the
layouts of ``tests.foreign.layouts``. Its service address is in another domain than its mailboxes, as in practice.
"""

import email
import email.policy
import itertools
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

from tests.foreign.layouts import Facts, Layout
from tests.foreign.openssl import Authority, verify
from tests.foreign.server import Arrival, Server

__all__ = ["Foreign", "Opened", "Sealed"]

ROME = ZoneInfo("Europe/Rome")


@dataclass(frozen=True)
class Sealed:
    """An envelope that it made."""

    facts: Facts
    message: bytes


@dataclass(frozen=True)
class Opened:
    """A certified message that it got, and whose signature holds."""

    arrival: Arrival
    outer: EmailMessage
    kind: str
    data: ET.Element
    original: bytes | None

    @property
    def msgid(self) -> str | None:
        return self.data.findtext("dati/msgid")

    @property
    def delivered_to(self) -> str | None:
        return self.data.findtext("dati/consegna")

    @property
    def taken_for(self) -> list[str | None]:
        return [element.text for element in self.data.iterfind("dati/ricezione")]


class Foreign:
    """One provider.

    Args:
        layout: how its messages look.
        ca_file: root and e-mail CA of the providers it believes.
        folder: where files are kept.
    """

    def __init__(self, layout: Layout, authority: Authority, ca_file: str, folder: Path) -> None:
        self.layout = layout
        self.name = f"Gestore {layout.name.capitalize()} S.p.A."
        self.domain = f"{layout.name}.example"
        self.service_domain = f"sicurezza.{layout.name}.example"
        self.service_address = f"posta-certificata@{self.service_domain}"
        self.key = authority.email(self.name, self.service_address, usage=layout.usage)
        self._ca_file = ca_file
        self._folder = folder
        self._numbers = itertools.count(63)
        self._opened: dict[Arrival, Opened] = {}
        secured = authority.server()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(secured.certificate, secured.key)
        self.server = Server(f"mx.{self.domain}", tls)

    def holder(self, name: str) -> str:
        return f"{name}@{self.domain}"

    def envelope(
        self,
        sender: str,
        *,
        to: Sequence[str],
        cc: Sequence[str] = (),
        subject: str = "Fattura n. 12: città",
        form: str | None = None,
        header_form: str | None = None,
        attachment: bytes = b"%PDF-1.4 ...",
    ) -> Sealed:
        """Seal a message of a holder, with an 8-bit text that is labelled as all originals are: 7bit."""
        pec_msgid, msgid = self._id(), f"<{next(self._numbers)}.17@client.{self.domain}>"
        original = EmailMessage(email.policy.SMTP.clone(cte_type="8bit"))
        original["From"], original["To"], original["Subject"] = f"Mario Rossi <{sender}>", ", ".join(to), subject
        if cc:
            original["Cc"] = ", ".join(cc)
        original["Message-ID"] = f"<{pec_msgid}>"
        original.set_content("Perché no? È già città.\n", charset="utf-8", cte="8bit")
        original.add_attachment(attachment, maintype="application", subtype="pdf", filename="fattura.pdf")
        original["X-Riferimento-Message-ID"] = msgid
        facts = Facts(
            type="posta-certificata",
            sender=sender,
            recipients=tuple((address, "certificato") for address in (*to, *cc)),
            subject=subject,
            reply_to=sender,
            provider=self.name,
            at=_now(),
            pec_msgid=pec_msgid,
            msgid=msgid,
            message_id=pec_msgid,
            service_address=self.service_address,
            header_to=", ".join(to),
            header_cc=", ".join(cc),
            form=form,
            header_form=header_form,
            original=original.as_bytes(),
        )
        return Sealed(facts, self.layout.sealed(facts, self.key))

    def send(self, message: bytes, reverse_path: str, forward_paths: Sequence[str], port: int) -> None:
        """Hand a message to another provider, over TLS."""
        context = ssl.create_default_context(cafile=self._ca_file)
        with smtplib.SMTP("localhost", port, local_hostname=f"mx.{self.domain}", timeout=60) as client:
            client.starttls(context=context)
            refused = client.sendmail(reverse_path, list(forward_paths), message, ["BODY=8BITMIME"])
        assert not refused

    def opened(self) -> list[Opened]:
        """Everything that has arrived, each verified by OpenSSL."""
        for arrival in self.server.arrivals:
            if arrival not in self._opened:
                self._opened[arrival] = self.open(arrival)
        return list(self._opened.values())

    def open(self, arrival: Arrival) -> Opened:
        """Verify and read a certified message as the incoming point has to."""
        outer = email.message_from_bytes(arrival.message, policy=email.policy.default)
        assert isinstance(outer, EmailMessage)
        verified = verify(arrival.message, self._ca_file, self._folder)
        (author,) = outer["From"].addresses
        assert author.addr_spec in verified.addresses
        content = email.message_from_bytes(verified.content, policy=email.policy.SMTP)
        assert isinstance(content, EmailMessage)
        assert content.get_content_type() == "multipart/mixed"
        (data_part,) = (part for part in content.iter_parts() if part.get_filename() == "daticert.xml")
        data = ET.fromstring(data_part.get_content())
        kind = str(outer["X-Ricevuta"] or outer["X-Trasporto"])
        assert data.get("tipo") == kind
        originals = [
            part for part in _parts(verified.content, content) if b"postacert.eml" in part.partition(b"\r\n\r\n")[0]
        ]
        original = originals[0].partition(b"\r\n\r\n")[2] if originals else None
        if kind == "posta-certificata":
            named = {element.text for element in data.iterfind("intestazione/destinatari")}
            assert len(originals) == 1
            assert set(arrival.forward_paths) <= named
            assert arrival.reverse_path == data.findtext("intestazione/mittente")
        return Opened(arrival, outer, kind, data, original)

    def take_charge(self, envelope: Opened, addresses: Sequence[str]) -> bytes:
        """T5 for a message that it got."""
        to = envelope.outer["From"].addresses[0].addr_spec
        return self._answer(envelope, type="presa-in-carico", taken_for=tuple(addresses), header_to=to)

    def delivery(self, envelope: Opened, address: str) -> bytes:
        """T9, complete."""
        return self._answer(
            envelope,
            type="avvenuta-consegna",
            form="completa",
            delivered_to=address,
            original=envelope.original,
        )

    def non_delivery(self, envelope: Opened, address: str) -> bytes:
        """T10, worded and coded as providers do."""
        return self._answer(
            envelope,
            type="errore-consegna",
            error="altro",
            error_text=f"5.1.1 - {self.name} - indirizzo non valido",
            delivered_to=address,
        )

    def virus_notice(self, envelope: Opened, address: str, found: str) -> bytes:
        """T7."""
        return self._answer(
            envelope,
            type="rilevazione-virus",
            error="virus",
            error_text=found,
            delivered_to=address,
            header_to=envelope.outer["From"].addresses[0].addr_spec,
        )

    def _answer(self, envelope: Opened, **particulars: object) -> bytes:
        data = envelope.data
        sender = data.findtext("intestazione/mittente") or ""
        facts = Facts(
            type="",
            sender=sender,
            recipients=tuple(
                (element.text or "", element.get("tipo", "certificato"))
                for element in data.iterfind("intestazione/destinatari")
            ),
            subject=data.findtext("intestazione/oggetto") or "",
            reply_to=data.findtext("intestazione/risposte") or "",
            provider=self.name,
            at=_now(),
            pec_msgid=data.findtext("dati/identificativo") or "",
            msgid=envelope.msgid,
            message_id=self._id(),
            service_address=self.service_address,
            header_to=sender,
        )
        return self.layout.sealed(replace(facts, **particulars), self.key)  # type: ignore[arg-type]

    def _id(self) -> str:
        """An identifier with dots and hyphens, as real ones are."""
        return f"{self.layout.name}288.{_now():%Y%m%d%H%M%S}.01838-310.1.{next(self._numbers)}@{self.service_domain}"


def _parts(content: bytes, message: EmailMessage) -> list[bytes]:
    """The parts of a multipart, byte for byte."""
    boundary = message.get_boundary()
    assert boundary is not None
    return content.split(b"\r\n--" + boundary.encode())[1:-1]


def _now() -> datetime:
    return datetime.now(ROME).replace(microsecond=0)
