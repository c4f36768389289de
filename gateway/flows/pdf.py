"""A PDF of lines of text, signed: written as it comes, so that its length does not matter (ISO 32000-1).

The letters are those that every reader has (Courier), in the code of Windows Latin 1; others are named by their
numbers. The signature is the provider's own CMS over everything but itself (12.8.3.3).
"""

import hashlib
import os
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO, Final

from providers.sealing import Signer, signed_data

__all__ = ["LINE_CHARACTERS", "SignedPdf", "shown_in_pdf"]

LINE_CHARACTERS: Final = 105
LINES_PER_PAGE: Final = 74
SIZE, LEADING, LEFT, TOP, BOTTOM = 8, 10, 45, 800, 40  # points, on A4
SIGNATURE_BYTES: Final = 16_384  # room for the CMS
READ_AT_ONCE: Final = 1_000_000

CATALOGUE, PAGES, PLAIN, BOLD, FIELD, SIGNATURE, INFO, FIRST_PAGE = range(1, 9)  # numbers of objects
HOLES: Final = b"/ByteRange [0 0000000000 0000000000 0000000000]"


class SignedPdf:
    """One document.

    Args:
        file: can be read and written anywhere, and is empty.
        title: for the reader's window, and at the foot of every page.
    """

    def __init__(self, file: BinaryIO, signer: Signer, *, title: str, at: datetime) -> None:
        self._file = file
        self._signer = signer
        self._title = title
        self._at = at
        self._offsets: dict[int, int] = {}
        self._pages: list[int] = []
        self._lines: list[tuple[bool, str]] = []
        self._next = FIRST_PAGE
        file.write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")

    def line(self, text: str = "", *, bold: bool = False, indent: int = 0) -> None:
        """One line, broken where it is too long."""
        for number, piece in enumerate(_broken(shown_in_pdf(text), LINE_CHARACTERS - indent)):
            self._lines.append((bold, " " * (indent + 2 * (number > 0)) + piece))
            if len(self._lines) == LINES_PER_PAGE:
                self._page()

    def keep_together(self, lines: int) -> None:
        """Begin a page if so many lines have no room on this one."""
        if len(self._lines) > 0 and len(self._lines) + lines > LINES_PER_PAGE:
            self._page()

    def end(self) -> None:
        """Write what is left, and sign.

        Raises:
            SigningUnavailable: the key cannot be used now.
        """
        if self._lines or not self._pages:
            self._page()
        self._object(CATALOGUE, f"<< /Type /Catalog /Pages {PAGES} 0 R /Lang (en) {_form()} >>")
        kids = " ".join(f"{number} 0 R" for number in self._pages)
        self._object(PAGES, f"<< /Type /Pages /Count {len(self._pages)} /Kids [{kids}] >>")
        for number, name in ((PLAIN, "Courier"), (BOLD, "Courier-Bold")):
            self._object(number, f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>")
        self._object(
            FIELD,
            f"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Signature) /V {SIGNATURE} 0 R"
            f" /Rect [0 0 0 0] /F 132 /P {FIRST_PAGE} 0 R >>",
        )
        moment = self._at.astimezone(UTC).strftime("D:%Y%m%d%H%M%SZ")
        self._object(INFO, f"<< /Title {_text(self._title)} /CreationDate ({moment}) /Producer (Ceralacca) >>")
        self._object(
            SIGNATURE,
            f"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /adbe.pkcs7.detached /M ({moment})"
            f" /Name {_text(self._signer.address)}\n",
            ended=False,
        )
        holes = self._file.tell()
        self._file.write(HOLES + b"\n/Contents ")
        first = self._file.tell()
        self._file.write(b"<" + b"0" * 2 * SIGNATURE_BYTES + b">")
        last = self._file.tell()
        self._file.write(b" >>\nendobj\n")
        self._cross_references()
        self._sign(holes, first, last)

    def _page(self) -> None:
        number = self._next
        self._next += 2
        self._pages.append(number)
        content = zlib.compress(self._drawn(len(self._pages)))
        fonts = f"/Resources << /Font << /P {PLAIN} 0 R /B {BOLD} 0 R >> >>"
        fields = f" /Annots [{FIELD} 0 R]" if number == FIRST_PAGE else ""
        self._object(
            number,
            f"<< /Type /Page /Parent {PAGES} 0 R /MediaBox [0 0 595 842] {fonts} /Contents {number + 1} 0 R{fields} >>",
        )
        self._object(number + 1, f"<< /Length {len(content)} /Filter /FlateDecode >>\nstream\n", content)
        self._lines.clear()

    def _drawn(self, page: int) -> bytes:
        said = [f"BT {LEADING} TL {LEFT} {TOP} Td"]
        for bold, text in self._lines:
            said.append(f"/{'B' if bold else 'P'} {SIZE} Tf {_literal(text)} Tj T*")
        foot = f"{shown_in_pdf(self._title)[: LINE_CHARACTERS - 12]}, page {page}"
        said.append(f"ET BT /P {SIZE - 1} Tf {LEFT} {BOTTOM} Td {_literal(foot)} Tj ET")
        return "\n".join(said).encode("ascii")

    def _object(self, number: int, head: str, stream: bytes | None = None, *, ended: bool = True) -> None:
        self._offsets[number] = self._file.tell()
        body = b"" if stream is None else stream + b"\nendstream"
        self._file.write(f"{number} 0 obj\n{head}".encode("ascii") + body + (b"\nendobj\n" if ended else b""))

    def _cross_references(self) -> None:
        start, count = self._file.tell(), self._next
        self._file.write(f"xref\n0 {count}\n0000000000 65535 f \n".encode())
        for number in range(1, count):
            self._file.write(f"{self._offsets[number]:010d} 00000 n \n".encode())
        trailer = f"trailer\n<< /Size {count} /Root {CATALOGUE} 0 R /Info {INFO} 0 R >>\nstartxref\n{start}\n%%EOF\n"
        self._file.write(trailer.encode())

    def _sign(self, holes: int, first: int, last: int) -> None:
        end = self._file.seek(0, os.SEEK_END)
        span = b"/ByteRange [0 %010d %010d %010d]" % (first, last, end - last)
        self._file.seek(holes)
        self._file.write(span)
        digest = hashlib.sha256()
        for start, stop in ((0, first), (last, end)):
            for piece in self._read(start, stop):
                digest.update(piece)
        signature = signed_data(self._signer, digest.digest(), self._at)
        if len(signature) > SIGNATURE_BYTES:
            raise ValueError("the signature is larger than the room for it")
        self._file.seek(first + 1)
        self._file.write(signature.hex().encode())
        self._file.seek(0, os.SEEK_END)

    def _read(self, start: int, stop: int) -> Iterator[bytes]:
        self._file.seek(start)
        while start < stop and (piece := self._file.read(min(READ_AT_ONCE, stop - start))):
            start += len(piece)
            yield piece


def shown_in_pdf(text: str) -> str:
    """The text in the letters that there are: others, and what is no letter, by their numbers."""
    return "".join(character if _is_there(character) else f"<U+{ord(character):04X}>" for character in text)


def _is_there(character: str) -> bool:
    if character.isascii():
        return character.isprintable()
    try:
        return character.isprintable() and bool(character.encode("cp1252"))
    except UnicodeEncodeError:
        return False


def _broken(text: str, width: int) -> Iterator[str]:
    """The text in pieces, at spaces where there are any; all but the first are two characters shorter."""
    further = width - 2
    while len(text) > width:
        space = text.rfind(" ", width // 2, width)
        at = width if space < 0 else space
        yield text[:at]
        text = text[at:].removeprefix(" ")
        width = further
    yield text


def _literal(text: str) -> str:
    return f"<{text.encode('cp1252', 'replace').hex()}>"


def _text(text: str) -> str:
    """A text string of a document (7.9.2.2)."""
    return f"<feff{text.encode('utf-16-be', 'replace').hex()}>"


def _form() -> str:
    return f"/AcroForm << /Fields [{FIELD} 0 R] /SigFlags 3 >>"
