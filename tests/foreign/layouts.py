"""How two families of certified-mail software in production lay out their messages, byte by byte.

``OPENPEC``: recased X-Tiporicevuta, ``binary`` labels on every multipart, SHA-1, x-pkcs7-signature, DER.
``JPEC``: BER of indefinite length, SHA-256, unquoted names, an empty ``risposte`` in receipts, headers of its own.
"""

import base64
import itertools
import re
from dataclasses import dataclass, field
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from typing import Protocol
from xml.sax.saxutils import escape

__all__ = ["JPEC", "LAYOUTS", "OPENPEC", "Facts", "Layout", "Signs"]

SUBJECTS = {
    "posta-certificata": "POSTA CERTIFICATA",
    "presa-in-carico": "PRESA IN CARICO",
    "avvenuta-consegna": "CONSEGNA",
    "rilevazione-virus": "PROBLEMA DI SICUREZZA",
    "errore-consegna": "AVVISO DI MANCATA CONSEGNA",
}


class Signs(Protocol):
    """A key that signs by the ``openssl`` command."""

    def sign(self, content: bytes, *options: str) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a message certifies, and what its header names besides."""

    type: str
    sender: str
    recipients: tuple[tuple[str, str], ...]  # address and tipo
    subject: str
    reply_to: str
    provider: str
    at: datetime
    pec_msgid: str
    msgid: str | None
    message_id: str  # of this message, without brackets
    service_address: str
    header_to: str  # To of this message
    header_cc: str = ""
    form: str | None = None  # ricevuta
    header_form: str | None = None  # X-TipoRicevuta, if the sender asked for one
    delivered_to: str | None = None
    taken_for: tuple[str, ...] = ()
    error: str = "nessuno"
    error_text: str | None = None
    original: bytes | None = None

    @property
    def is_envelope(self) -> bool:
        return self.type == "posta-certificata"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One family."""

    name: str
    signature_type: str
    micalg: str
    cms_options: tuple[str, ...]
    preamble: bytes
    multipart_fields: tuple[bytes, ...]  # on every multipart
    signed_fields: tuple[bytes, ...]  # on the signed part besides
    quoted_names: bool
    xml_width: int
    p7s_width: int
    xml_tail: bytes
    empty_reply_to: bool  # in receipts
    own_fields: dict[str, str]  # of the envelope
    form_spelling: str
    always_form: bool
    date_comment: str
    order: tuple[str, ...]  # of fields; those not named come last
    usage: bool  # whether its certificate has an extended key usage
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def sealed(self, facts: Facts, key: Signs) -> bytes:
        """The whole message."""
        content = self._content(facts)
        signature = key.sign(content, *self.cms_options)
        boundary = self._boundary("signed").encode()
        fields = self._fields(facts)
        protocol = f'protocol="application/{self.signature_type}"; micalg={self.micalg}'
        fields["Content-Type"] = f'multipart/signed; {protocol};\r\n boundary="{boundary.decode()}"'
        header = b"".join(f"{name}: {fields[name]}\r\n".encode() for name in self._ordered(fields))
        body = (self.preamble, b"--" + boundary, content, b"--" + boundary, self._p7s(signature))
        return header + b"\r\n" + b"\r\n".join(body) + b"\r\n--" + boundary + b"--\r\n"

    def _fields(self, facts: Facts) -> dict[str, str]:
        subject = Header(f"{SUBJECTS[facts.type]}: {facts.subject}", "iso-8859-1", header_name="Subject")
        date = facts.at.strftime("%a, %d %b %Y %H:%M:%S %z")
        fields = {"Subject": subject.encode(linesep="\r\n"), "Date": f"{date}{self.date_comment}"}
        fields |= {"To": facts.header_to, "MIME-Version": "1.0", "Message-ID": f"<{facts.message_id}>"}
        if facts.header_cc:
            fields["Cc"] = facts.header_cc
        if facts.msgid:
            fields["X-Riferimento-Message-ID"] = facts.msgid
        if facts.is_envelope:
            fields["From"] = f'"Per conto di: {facts.sender}" <{facts.service_address}>'
            fields |= {"Reply-To": facts.reply_to, "X-Trasporto": facts.type, **self.own_fields}
            if facts.header_form or self.always_form:
                fields[self.form_spelling] = facts.header_form or "completa"
        else:
            fields |= {"From": facts.service_address, "X-Ricevuta": facts.type}
            if facts.type == "rilevazione-virus":
                fields["X-Mittente"] = facts.sender
            if self.own_fields and facts.type == "avvenuta-consegna":
                fields["X-REM-Subject"] = f"REM ContentConsignment: {facts.type}"
        return fields

    def _ordered(self, fields: dict[str, str]) -> list[str]:
        return [*(name for name in self.order if name in fields), *(name for name in fields if name not in self.order)]

    def _content(self, facts: Facts) -> bytes:
        """The signed multipart/mixed, without a line break at its end."""
        parts = [self._alternative(facts), self._data(facts)]
        if facts.original is not None:
            parts.append(self._file("message/rfc822", "postacert.eml", "7bit", facts.original))
        return self._multipart("mixed", parts, self.signed_fields)

    def _alternative(self, facts: Facts) -> bytes:
        text = f'Il giorno {facts.at:%d/%m/%Y} alle ore {facts.at:%H:%M:%S} ({facts.at:%z}) il messaggio "{facts.subject}" è stato ...\nIdentificativo messaggio: {facts.pec_msgid}\n'  # noqa: E501
        return self._multipart("alternative", [_text("plain", text), _text("html", f"<p>{escape(text)}</p>\n")], ())

    def _data(self, facts: Facts) -> bytes:
        encoded = _base64(daticert(facts, empty_reply_to=self.empty_reply_to) + self.xml_tail, self.xml_width)
        return self._file("application/xml", "daticert.xml", "base64", encoded)

    def _p7s(self, signature: bytes) -> bytes:
        encoded = _base64(signature, self.p7s_width)
        return self._file(f"application/{self.signature_type}", "smime.p7s", "base64", encoded, "attachment")

    def _file(self, kind: str, name: str, encoding: str, body: bytes, disposition: str = "inline") -> bytes:
        quoted = f'"{name}"' if self.quoted_names or name == "daticert.xml" else name
        fields = [f"Content-Type: {kind}; name={quoted}", f"Content-Transfer-Encoding: {encoding}"]
        fields.append(f"Content-Disposition: {disposition}; filename={quoted}")
        if disposition == "attachment" and not self.quoted_names:
            fields.append("Content-Description: S/MIME Cryptographic Signature")
        return "\r\n".join(fields).encode() + b"\r\n\r\n" + body

    def _multipart(self, kind: str, parts: list[bytes], fields: tuple[bytes, ...]) -> bytes:
        boundary = self._boundary(kind).encode()
        first = b'Content-Type: multipart/%b; boundary="%b"' % (kind.encode(), boundary)
        header = b"\r\n".join((first, *self.multipart_fields, *fields))
        body = b"".join(b"\r\n--" + boundary + b"\r\n" + part for part in parts)
        return header + b"\r\n" + body + b"\r\n--" + boundary + b"--"

    def _boundary(self, kind: str) -> str:
        number = next(self._numbers)
        if self.quoted_names:
            return f"----{number:032X}" if kind == "signed" else f"----------=_1541680800-1838-{number}"
        return f"----=_Part_{number}_{1_329_000 + number}.1758268800000"


def daticert(facts: Facts, *, empty_reply_to: bool = False) -> bytes:
    """The certification data as the real ones are: no DOCTYPE, four spaces, LF."""
    reply_to = "" if empty_reply_to and not facts.is_envelope else facts.reply_to
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<postacert tipo="{facts.type}" errore="{facts.error}">',
        "    <intestazione>",
        f"        <mittente>{escape(facts.sender)}</mittente>",
        *(f'        <destinatari tipo="{tipo}">{escape(address)}</destinatari>' for address, tipo in facts.recipients),
        f"        <risposte>{escape(reply_to)}</risposte>",
        f"        <oggetto>{escape(facts.subject)}</oggetto>",
        "    </intestazione>",
        "    <dati>",
        f"        <gestore-emittente>{escape(facts.provider)}</gestore-emittente>",
        f'        <data zona="{facts.at:%z}">',
        f"            <giorno>{facts.at:%d/%m/%Y}</giorno>",
        f"            <ora>{facts.at:%H:%M:%S}</ora>",
        "        </data>",
        f"        <identificativo>{escape(facts.pec_msgid)}</identificativo>",
    ]
    if facts.msgid:
        lines.append(f"        <msgid>{escape(facts.msgid)}</msgid>")
    if facts.form:
        lines.append(f'        <ricevuta tipo="{facts.form}" />')
    if facts.delivered_to:
        lines.append(f"        <consegna>{escape(facts.delivered_to)}</consegna>")
    lines += [f"        <ricezione>{escape(address)}</ricezione>" for address in facts.taken_for]
    if facts.error_text:
        lines.append(f"        <errore-esteso>{escape(facts.error_text)}</errore-esteso>")
    return "\n".join([*lines, "    </dati>", "</postacert>", ""]).encode()


def _text(subtype: str, text: str) -> bytes:
    part = EmailMessage(SMTP)
    part.set_content(text, subtype=subtype, charset="iso-8859-1", cte="quoted-printable", disposition="inline")
    del part["MIME-Version"]
    return part.as_bytes().removesuffix(b"\r\n")


def _base64(data: bytes, width: int) -> bytes:
    return b"\r\n".join(re.findall(b".{1,%d}" % width, base64.b64encode(data)))


OPENPEC = Layout(
    name="openpec",
    signature_type="x-pkcs7-signature",
    micalg='"sha1"',
    cms_options=("-md", "sha1"),
    preamble=b"This is an S/MIME signed message\r\n",
    multipart_fields=(b"Content-Transfer-Encoding: binary",),
    signed_fields=(b"MIME-Version: 1.0",),
    quoted_names=True,
    xml_width=60,
    p7s_width=64,
    xml_tail=b"",
    empty_reply_to=False,
    own_fields={},
    form_spelling="X-Tiporicevuta",
    always_form=False,
    date_comment="",
    order=(
        *("Subject", "X-Riferimento-Message-ID", "Date", "Reply-To", "To", "Cc", "X-Trasporto", "X-Ricevuta", "From"),
        *("X-Tiporicevuta", "MIME-Version", "Content-Type", "Message-ID"),
    ),
    usage=False,
)
JPEC = Layout(
    name="jpec",
    signature_type="pkcs7-signature",
    micalg="sha-256",
    cms_options=("-md", "sha256", "-stream", "-nosmimecap"),
    preamble=b"",
    multipart_fields=(),
    signed_fields=(),
    quoted_names=False,
    xml_width=76,
    p7s_width=76,
    xml_tail=b"\r\n",
    empty_reply_to=True,
    own_fields={"X-Attachment": "yes"},
    form_spelling="X-TipoRicevuta",
    always_form=True,
    date_comment=" (CET)",
    order=(
        *("Date", "From", "Reply-To", "To", "Cc", "Message-ID", "Subject", "MIME-Version", "Content-Type"),
        *("X-Trasporto", "X-Ricevuta", "X-TipoRicevuta", "X-Riferimento-Message-ID"),
    ),
    usage=True,
)
LAYOUTS = (OPENPEC, JPEC)
