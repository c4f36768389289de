"""Outlook's autodiscover in its plain XML form ("POX"), and the JSON that points to it.

Source: Microsoft Open Specifications MS-OXDSCLI 2.2.4 (request), 2.2.6 and 2.2.7 (response), 3.1.5.
"""

from xml.parsers import expat
from xml.sax.saxutils import escape

from gateway.web.setup.servers import MailServer, MailServers, Service

__all__ = ["MAX_REQUEST_BYTES", "RequestRefused", "account_settings", "no_account", "requested_address"]

MAX_REQUEST_BYTES = 16 * 1024
RESPONSE_SCHEMA = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
ACCOUNT_SCHEMA = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
MAX_ADDRESS = 320
INVALID_REQUEST = 600  # MS-OXDSCLI 2.2.6.1: error codes
TYPES = {Service.IMAP: "IMAP", Service.POP3: "POP3", Service.SUBMISSION: "SMTP"}


class RequestRefused(ValueError):
    """The request is no autodiscover request."""


def requested_address(body: bytes) -> str:
    """The address that a request is about.

    Raises:
        RequestRefused: no readable XML, a document type of its own, or no address in it.
    """
    reader = _AddressReader()
    try:
        reader.parser.Parse(body[: MAX_REQUEST_BYTES + 1], True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise RequestRefused("not readable as XML") from error
    address = "".join(reader.address).strip()
    if not address or len(address) > MAX_ADDRESS:
        raise RequestRefused("no address in it")
    return address


class _AddressReader:
    """Listens for the text of ``EMailAddress``; a document type could define entities without end, so none may come."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.address: list[str] = []
        self._inside = False

    def _refuse(self, *_: object) -> None:
        raise RequestRefused("it has a document type")

    def _start(self, name: str, _: object) -> None:
        self._inside = name.rpartition(" ")[2] == "EMailAddress" and not self.address

    def _end(self, _: str) -> None:
        self._inside = False

    def _text(self, text: str) -> None:
        if self._inside:
            self.address.append(text)


def account_settings(servers: MailServers, address: str) -> bytes:
    """The answer for one address: IMAP before POP3, each with the submission that goes with it."""
    protocols = "".join(
        _protocol(server, address)
        for service in (Service.IMAP, Service.POP3, Service.SUBMISSION)
        if (server := servers.best(service)) is not None
    )
    return _response(
        f"<User><DisplayName>{escape(address)}</DisplayName></User>\n"
        f"<Account><AccountType>email</AccountType><Action>settings</Action>\n{protocols}</Account>\n"
    )


def no_account() -> bytes:
    """The answer to everything that is about no address of ours."""
    return _response(
        f"<Error><ErrorCode>{INVALID_REQUEST}</ErrorCode><Message>Invalid Request</Message><DebugData/></Error>\n"
    )


def _protocol(server: MailServer, address: str) -> str:
    fields = [
        ("Type", TYPES[server.service]),
        ("Server", server.host),
        ("Port", str(server.port)),
        ("DomainRequired", "off"),
        ("LoginName", address),
        ("SPA", "off"),
        ("SSL", "on"),
        ("Encryption", "SSL" if server.implicit_tls else "TLS"),
        ("AuthRequired", "on"),
    ]
    if server.service is Service.SUBMISSION:
        fields += [("UsePOPAuth", "off"), ("SMTPLast", "off")]
    return "<Protocol>" + "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields) + "</Protocol>\n"


def _response(inside: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<Autodiscover xmlns="{RESPONSE_SCHEMA}">\n<Response xmlns="{ACCOUNT_SCHEMA}">\n'
        f"{inside}</Response>\n</Autodiscover>\n"
    ).encode()
