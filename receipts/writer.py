"""Unsealed messages as bytes: outer header fields and the ``multipart/mixed`` that will be signed (RFC 6109 4.3)."""

from binascii import b2a_base64, b2a_qp
from collections.abc import Iterable

from receipts.headers import CRLF
from receipts.octets import Octets
from receipts.records import record
from receipts.texts import ReadableText
from receipts.wire import CERTIFICATION_DATA_NAME, ORIGINAL_NAME

__all__ = ["Boundaries", "Unsealed", "base64_lines", "is_clear", "is_seven_bit", "quoted_printable", "unsealed"]


@record()
class Unsealed:
    """A message before it is sealed.

    ``headers`` are the outer fields, each with its CRLF, without MIME-Version and Content-Type. ``content`` is what
    the signature covers: header and body of the ``multipart/mixed``, with no CRLF after its last delimiter.
    """

    headers: bytes
    content: Octets


@record()
class Boundaries:
    """The MIME boundaries of one message, made of one token of 32 hexadecimal digits.

    Each level begins with two letters of its own, so that none is the beginning of another: OpenSSL finds no body
    otherwise.
    """

    token: str

    @property
    def signed(self) -> str:
        return f"sg{self.token}"

    @property
    def mixed(self) -> str:
        return f"mx{self.token}"

    @property
    def alternative(self) -> str:
        return f"al{self.token}"


def is_clear(token: str, original: Octets) -> bool:
    """Whether no boundary made of the token can stand in these bytes; if it might, the caller takes a new token."""
    return original.find(token.encode("ascii")) < 0


def is_seven_bit(octets: Octets) -> bool:
    """Whether no byte is above 127."""
    return all(piece.isascii() for piece in octets.pieces())


def unsealed(
    headers: Iterable[bytes],
    text: ReadableText,
    *,
    certification: bytes | None,
    original: Octets | None,
    boundaries: Boundaries,
) -> Unsealed:
    """A message of the parts every certified mail has: text, ``daticert.xml``, ``postacert.eml``, in this order.

    An original with bytes above 127 is labelled 8bit, and so are the parts around it (RFC 2045 section 6.4).
    """
    eight_bit = original is not None and not is_seven_bit(original)
    delimiter = f"\r\n--{boundaries.mixed}".encode("ascii")
    head = [
        f'Content-Type: multipart/mixed; boundary="{boundaries.mixed}"\r\n'.encode("ascii"),
        _EIGHT_BIT if eight_bit else b"",
        delimiter,
        CRLF,
        _readable(text, boundaries.alternative),
    ]
    if certification is not None:
        head += (delimiter, CRLF, _CERTIFICATION_HEADER, base64_lines(certification))
    if original is None:
        content = Octets.of(b"".join((*head, delimiter, b"--")))
    else:
        head += (delimiter, CRLF, _ORIGINAL_HEADER, _EIGHT_BIT if eight_bit else _SEVEN_BIT, CRLF)
        content = Octets.of(b"".join(head), original, delimiter + b"--")
    return Unsealed(b"".join((*headers, _EIGHT_BIT if eight_bit else b"")), content)


def quoted_printable(data: bytes) -> bytes:
    """Text with CRLF line ends in quoted-printable; it decodes to the same bytes (RFC 2045 section 6.7)."""
    # b2a_qp takes the form of its own line ends from the first one it finds, so there must always be one
    return b2a_qp(b"\r\n" + data + b"\r\n", istext=True)[2:-2]


def base64_lines(data: bytes) -> bytes:
    """Base64 in lines of 76 characters, without a CRLF after the last one."""
    text = b2a_base64(data, newline=False)
    return CRLF.join([text[at : at + _BASE64_LINE] for at in range(0, len(text), _BASE64_LINE)])


_BASE64_LINE = 76


_SEVEN_BIT = b"Content-Transfer-Encoding: 7bit\r\n"
_EIGHT_BIT = b"Content-Transfer-Encoding: 8bit\r\n"
_INLINE = b"Content-Disposition: inline"

_TEXT_HEADER = (
    b"Content-Type: text/%s; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n" + _INLINE + b"\r\n\r\n"
)
_CERTIFICATION_HEADER = (
    f'Content-Type: application/xml; name="{CERTIFICATION_DATA_NAME}"\r\n'
    "Content-Transfer-Encoding: base64\r\n"
    f'Content-Disposition: inline; filename="{CERTIFICATION_DATA_NAME}"\r\n\r\n'
).encode("ascii")
_ORIGINAL_HEADER = (
    f'Content-Type: message/rfc822; name="{ORIGINAL_NAME}"\r\n'
    f'Content-Disposition: inline; filename="{ORIGINAL_NAME}"\r\n'
).encode("ascii")


def _readable(text: ReadableText, boundary: str) -> bytes:
    delimiter = f"\r\n--{boundary}".encode("ascii")
    return b"".join(
        (
            f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n'.encode("ascii"),
            delimiter,
            CRLF,
            _TEXT_HEADER % b"plain",
            quoted_printable(text.plain),
            delimiter,
            CRLF,
            _TEXT_HEADER % b"html",
            quoted_printable(text.html),
            delimiter,
            b"--",
        )
    )
