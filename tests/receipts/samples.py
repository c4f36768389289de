"""Certified messages to be read: the golden ones, sealed with something that looks like a signature."""

from functools import cache

from receipts.octets import Octets
from receipts.writer import Unsealed
from tests.receipts.golden import built, cases

__all__ = ["DELIMITER", "certified_messages", "sealed"]

BOUNDARY = b"sg0123456789abcdef0123456789abcdef"
DELIMITER = b"--" + BOUNDARY
SIGNATURE = b"MIIB" * 19


def sealed(message: Unsealed) -> Octets:
    """A message in the form of a sealed one; whoever does not look into the signature cannot tell the difference."""
    return Octets.of(
        message.headers,
        b"MIME-Version: 1.0\r\n"
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256;\r\n'
        b' boundary="' + BOUNDARY + b'"\r\n\r\n',
        DELIMITER + b"\r\n",
        message.content,
        b"\r\n" + DELIMITER + b"\r\n"
        b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
        b"Content-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="smime.p7s"\r\n\r\n' + SIGNATURE,
        b"\r\n" + DELIMITER + b"--\r\n",
    )


@cache
def certified_messages() -> list[bytes]:
    """The smaller golden messages, one after the other."""
    messages = (sealed(built(case)).read() for case in cases())
    return [message for message in messages if len(message) < 20_000]
