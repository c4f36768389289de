"""Messages that a provider of the lab has sealed, whatever they hold: made with its own key."""

import base64
import secrets
from datetime import UTC, datetime
from pathlib import Path

from gateway.drivers.signers import load_signer
from providers.sealing import Signer, seal
from receipts.octets import Octets
from receipts.writer import Unsealed

__all__ = ["certification", "envelope", "sealed", "signer_of"]


def signer_of(lab: Path, label: str) -> Signer:
    """The key of the provider that the lab keeps in the folder ``label``."""
    folder = lab / label
    return load_signer(folder / "signing.key.pem", folder / "signing.pem", folder / "chain.pem")


def certification(*, sender: str, recipients: list[str], pec_msgid: str, inside: str = "", head: str = "") -> bytes:
    """``daticert.xml`` of a transport envelope.

    Args:
        inside: put at the end of ``dati``.
        head: put between the XML declaration and the root.
    """
    at = datetime.now(UTC)
    listed = "".join(f'<destinatari tipo="certificato">{recipient}</destinatari>\n' for recipient in recipients)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{head}<postacert tipo="posta-certificata" errore="nessuno">\n'
        f"<intestazione>\n<mittente>{sender}</mittente>\n{listed}<risposte>{sender}</risposte>\n"
        "<oggetto>Prova</oggetto>\n</intestazione>\n"
        f'<dati>\n<gestore-emittente>Beta PEC</gestore-emittente>\n<data zona="+0000"><giorno>{at:%d/%m/%Y}</giorno>'
        f"<ora>{at:%H:%M:%S}</ora></data>\n<identificativo>{pec_msgid}</identificativo>\n"
        f'<ricevuta tipo="completa"/>\n{inside}</dati>\n</postacert>\n'
    ).encode()


def envelope(
    data: bytes, *, sender: str, recipient: str, pec_msgid: str, service_address: str, original: bytes | None = None
) -> Unsealed:
    """A transport envelope that holds these certification data."""
    if original is None:
        original = f"From: {sender}\r\nTo: {recipient}\r\nSubject: Prova\r\n\r\nciao\r\n".encode()
    boundary = b"mx" + secrets.token_hex(16).encode()
    content = b"".join(
        (
            b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n',
            b"\r\n--" + boundary + b"\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nBusta\r\n",
            b"\r\n--" + boundary + b'\r\nContent-Type: application/xml; name="daticert.xml"\r\n',
            b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(data).replace(b"\n", b"\r\n"),
            b"\r\n--" + boundary + b'\r\nContent-Type: message/rfc822; name="postacert.eml"\r\n\r\n' + original,
            b"\r\n--" + boundary + b"--",
        )
    )
    headers = (
        f'From: "Per conto di: {sender}" <{service_address}>\r\nTo: {recipient}\r\n'
        f"Subject: POSTA CERTIFICATA: Prova\r\nMessage-ID: <{pec_msgid}>\r\nX-Trasporto: posta-certificata\r\n"
    )
    return Unsealed(headers.encode(), Octets.of(content))


def sealed(message: Unsealed, signer: Signer) -> bytes:
    return seal(message, signer, at=datetime.now(UTC), boundary="sg" + secrets.token_hex(16)).read()
