"""Other providers' hands: what they write, and the same with something changed, sealed again or not."""

import base64
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from gateway.flows.issue import Identity, Issuer
from providers.sealing import Signer, seal
from receipts.facts import CertificationData, Recipient
from receipts.octets import InMemory, Octets
from receipts.original import read_original, reidentified
from receipts.scanner import scan
from receipts.wire import CertificationType, ErrorKind, ReceiptForm, RecipientKind
from receipts.writer import Unsealed
from tests.flows.credentials import START, credential
from tests.flows.house import CountedIds, original

__all__ = ["Pen", "altered", "certifying", "in_turn", "taken_apart"]

RECEIVED = (
    b"Received: from authenticated-holder by mx.example with ESMTPSA\r\n id 1; Mon, 2 Mar 2026 09:30:15 +0100\r\n"
)
Change = Callable[[bytes], bytes]


def same(data: bytes) -> bytes:
    return data


def altered(old: str, new: str) -> Change:
    """A change that must find what it changes."""

    def change(data: bytes) -> bytes:
        assert data.count(old.encode()) >= 1, f"{old} is not there"
        return data.replace(old.encode(), new.encode(), 1)

    return change


def certifying(old: str, new: str) -> Change:
    """A change of the certification data inside the signed content."""

    def change(content: bytes) -> bytes:
        head, mark, rest = content.partition(b'filename="daticert.xml"\r\n\r\n')
        assert mark
        coded, end, tail = rest.partition(b"\r\n--")
        data = altered(old, new)(base64.b64decode(coded))
        return head + mark + base64.encodebytes(data).strip().replace(b"\n", b"\r\n") + end + tail

    return change


def in_turn(*changes: Change) -> Change:
    def change(data: bytes) -> bytes:
        for each in changes:
            data = each(data)
        return data

    return change


class Pen:
    """What the provider of ``domain`` issues."""

    def __init__(self, domain: str = "alfa.example", signer: Signer | None = None) -> None:
        own = credential(domain)
        self.domain, self.name, self.service_address = domain, own.name, own.service_address
        self.signer = signer or own.signer
        identity = Identity(name=own.name, domain=domain, service_address=own.service_address)
        self.ids = CountedIds(f"pen of {domain}")
        self.issuer = Issuer(identity, self.signer, self.ids)

    def facts(
        self,
        recipients: Sequence[str] = ("bruno@beta.example",),
        *,
        sender: str | None = None,
        at: datetime = START,
        pec_msgid: str | None = None,
        form: ReceiptForm | None = None,
    ) -> CertificationData:
        sender = sender or f"anna@{self.domain}"
        return CertificationData(
            type=CertificationType.ENVELOPE,
            sender=sender,
            recipients=tuple(
                Recipient(
                    address=address,
                    kind=RecipientKind.EXTERNAL if address.endswith("mail.example") else RecipientKind.CERTIFIED,
                )
                for address in recipients
            ),
            reply_to=sender,
            subject="Perizia",
            provider=self.name,
            at=at,
            pec_msgid=pec_msgid or self.issuer.new_message_id(),
            msgid="<17@client.example>",
            receipt_form=form,
        )

    def envelope(self, data: CertificationData | None = None, raw: bytes | None = None) -> bytes:
        """A transport envelope. Those who are certified stand in To, unless ``raw`` says otherwise."""
        data = data or self.facts()
        addresses = [recipient.address for recipient in data.recipients]
        message = Octets.whole(InMemory.of(raw or original(addresses, sender=data.sender)))
        read = read_original(message, scan(message))
        inside = reidentified(read, data.pec_msgid, RECEIVED)
        return self.issuer.envelope(data, inside, read.header, RECEIVED).message.read()

    def take_charge(self, data: CertificationData, *taken_for: str, to: str, at: datetime = START) -> bytes:
        return self.issuer.take_charge(self._of_mine(data, at, taken_for=taken_for), to).message.read()

    def delivery(
        self,
        data: CertificationData,
        delivered_to: str,
        *,
        form: ReceiptForm = ReceiptForm.CONCISE,
        inside: bytes | None = None,
        at: datetime = START,
    ) -> bytes:
        facts = self._of_mine(data, at, delivered_to=delivered_to)
        return self.issuer.delivery(facts, form, None if inside is None else Octets.of(inside)).message.read()

    def non_delivery(
        self,
        data: CertificationData,
        delivered_to: str,
        *,
        error: ErrorKind = ErrorKind.NO_RECIPIENT,
        at: datetime = START,
    ) -> bytes:
        text = f"5.1.1 - {self.name} - indirizzo non valido"
        facts = self._of_mine(data, at, delivered_to=delivered_to, error=error, error_text=text)
        return self.issuer.non_delivery(facts).message.read()

    def virus_notice(
        self, data: CertificationData, about: str, *, to: str, found: str = "Eicar-Test-Signature", at: datetime = START
    ) -> bytes:
        """T7 about one recipient."""
        facts = self._of_mine(data, at, delivered_to=about, error=ErrorKind.VIRUS, error_text=found)
        return self.issuer.virus(facts, to).message.read()

    def acceptance(self, data: CertificationData) -> bytes:
        return self.issuer.acceptance(data).message.read()

    def resealed(
        self, raw: bytes, *, headers: Change = same, content: Change = same, signer: Signer | None = None
    ) -> bytes:
        """The message with something changed and a good signature over it."""
        outer, signed = taken_apart(raw)
        unsealed = Unsealed(headers(outer), Octets.of(content(signed)))
        return seal(unsealed, signer or self.signer, at=START, boundary=f"sg{self.ids.token()}").read()

    def sealed_by_openssl(self, raw: bytes, folder: Path, *options: str) -> bytes:
        """The same message with a signature that ``openssl cms`` made with these options."""
        outer, signed = taken_apart(raw)
        key, certificate, content = folder / "key.pem", folder / "certificate.pem", folder / "content"
        key.write_bytes(credential(self.domain).issued.key_pem)
        certificate.write_bytes(credential(self.domain).issued.pem)
        content.write_bytes(signed)
        command: list[str | Path] = [
            "openssl",
            "cms",
            "-sign",
            "-binary",
            "-in",
            content,
            "-signer",
            certificate,
            "-inkey",
            key,
        ]
        chain = folder / "chain.pem"
        chain.write_bytes(credential(self.domain).issued.chain_pem)
        more: list[str | Path] = ["-certfile", chain, "-outform", "DER", *options]
        done = subprocess.run([*command, *more], capture_output=True, check=True, timeout=60)
        boundary = f"xx{self.ids.token()}".encode()
        return b"".join(
            (
                outer,
                b"MIME-Version: 1.0\r\n",
                b'Content-Type: multipart/signed; protocol="application/x-pkcs7-signature"; micalg=sha1;\r\n',
                b' boundary="' + boundary + b'"\r\n\r\n--' + boundary + b"\r\n",
                signed,
                b"\r\n--" + boundary + b"\r\n",
                b'Content-Type: application/x-pkcs7-signature; name="smime.p7s"\r\n',
                b"Content-Transfer-Encoding: base64\r\n\r\n",
                base64.encodebytes(done.stdout).replace(b"\n", b"\r\n"),
                b"--" + boundary + b"--\r\n",
            )
        )

    def _of_mine(self, data: CertificationData, at: datetime, **changes: object) -> CertificationData:
        return replace(data, provider=self.name, at=at, **changes)  # type: ignore[arg-type]


def taken_apart(raw: bytes) -> tuple[bytes, bytes]:
    """Outer header fields and signed content of what our own seal made."""
    outer, _, rest = raw.partition(b"MIME-Version: 1.0\r\nContent-Type: multipart/signed;")
    boundary = rest[rest.index(b'boundary="') + 10 :].partition(b'"')[0]
    mark = b"--" + boundary + b"\r\n"
    start = rest.index(mark) + len(mark)
    return outer, rest[start : rest.index(b"\r\n" + mark, start)]
