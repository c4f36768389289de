"""What a certified message says, read by the standard library alone, not by the product's own readers."""

import email.policy
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from xml.etree import ElementTree

__all__ = ["Certified", "parse"]


def parse(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


@dataclass(frozen=True)
class Certified:
    """An envelope, receipt or notice."""

    raw: bytes

    @property
    def message(self) -> EmailMessage:
        return parse(self.raw)

    def header(self, name: str) -> str | None:
        value = self.message[name]
        return None if value is None else str(value)

    @property
    def message_id(self) -> str:
        return (self.header("Message-ID") or "").strip().strip("<>")

    @property
    def from_address(self) -> Address:
        [address] = self.message["From"].addresses
        assert isinstance(address, Address)
        return address

    @property
    def date(self) -> datetime:
        found = self.message["Date"].datetime
        assert isinstance(found, datetime)
        return found

    @property
    def parts(self) -> list[str]:
        """The types of the parts of the signed content."""
        return [part.get_content_type() for part in self._content.iter_parts()]

    @property
    def text(self) -> str:
        found = self._content.get_body(("plain",))
        assert isinstance(found, EmailMessage)
        text = found.get_content()
        assert isinstance(text, str)
        return text

    @property
    def original(self) -> bytes | None:
        """The bytes of postacert.eml as they stand in the message."""
        marker = b'filename="postacert.eml"'
        if marker not in self.raw:
            return None
        start = self.raw.index(b"\r\n\r\n", self.raw.index(marker)) + 4
        boundary = self._content.get_boundary()
        assert isinstance(boundary, str)
        return self.raw[start : self.raw.index(f"\r\n--{boundary}".encode(), start)]

    @property
    def data(self) -> ElementTree.Element:
        """daticert.xml."""
        [part] = [part for part in self._content.iter_parts() if part.get_filename() == "daticert.xml"]
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        return ElementTree.fromstring(payload)

    def said(self, name: str) -> str | None:
        """The text of an element of the certification data."""
        return self.data.findtext(f"./*/{name}")

    def each(self, name: str) -> list[str]:
        return [found.text or "" for found in self.data.findall(f"./*/{name}")]

    @property
    def type(self) -> str:
        return self.data.attrib["tipo"]

    @property
    def error(self) -> str:
        return self.data.attrib.get("errore", "nessuno")

    @property
    def recipients(self) -> dict[str, str]:
        """Each recipient and whether it is "certificato" or "esterno"."""
        return {
            found.text or "": found.attrib.get("tipo", "certificato") for found in self.data.findall("./*/destinatari")
        }

    @property
    def form(self) -> str | None:
        found = self.data.find("./dati/ricevuta")
        return None if found is None else found.attrib["tipo"]

    @property
    def instant(self) -> str:
        """Day, time and zone of the certification data."""
        found = self.data.find("./dati/data")
        assert found is not None
        return f"{found.findtext('giorno')} {found.findtext('ora')} {found.attrib['zona']}"

    @property
    def _content(self) -> EmailMessage:
        content = next(iter(self.message.iter_parts()))
        assert isinstance(content, EmailMessage)
        return content
