"""A configuration profile for iPhone, iPad and Mac: open it, give the password, done.

Source: Apple, Configuration Profile Reference, payload ``com.apple.mail.managed``.
"""

import plistlib
from typing import Any, Final
from uuid import UUID, uuid5

from gateway.web.setup.servers import MailServer, MailServers, Service

__all__ = ["PROFILE_TYPE", "profile"]

PROFILE_TYPE: Final = "application/x-apple-aspen-config"
OURS: Final = UUID("6f1c62a4-6d6e-4c0a-9d2e-3f0a6c9b7a51")  # the name space of our identifiers: any number, for ever
KINDS: Final = {Service.IMAP: "EmailTypeIMAP", Service.POP3: "EmailTypePOP"}


def profile(servers: MailServers, address: str) -> bytes | None:
    """The profile of one address, unsigned; the same bytes each time, so that opening it again replaces it.

    None if there is no mailbox server or no submission server to name.
    """
    incoming = next(iter(servers.of(Service.IMAP, Service.POP3)), None)
    outgoing = servers.best(Service.SUBMISSION)
    if incoming is None or outgoing is None:
        return None
    name = f"{servers.short_name}: {address}"
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": _identifier(address),
            "PayloadUUID": _uuid("profile", address),
            "PayloadDisplayName": name,
            "PayloadDescription": f"Certified mail of {servers.provider} for {address}",
            "PayloadOrganization": servers.provider,
            "PayloadRemovalDisallowed": False,
            "PayloadContent": [_mail(servers, address, incoming, outgoing)],
        },
        sort_keys=True,
    )


def _mail(servers: MailServers, address: str, incoming: MailServer, outgoing: MailServer) -> dict[str, Any]:
    return {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{_identifier(address)}.mail",
        "PayloadUUID": _uuid("mail", address),
        "PayloadDisplayName": servers.short_name,
        "EmailAccountDescription": f"{servers.short_name}: {address}",
        "EmailAccountType": KINDS[incoming.service],
        "EmailAddress": address,
        "OutgoingPasswordSameAsIncomingPassword": True,
        "PreventMove": False,
        "SMIMEEnabled": False,
        **_server("Incoming", incoming, address),
        **_server("Outgoing", outgoing, address),
    }


def _server(way: str, server: MailServer, address: str) -> dict[str, Any]:
    return {
        f"{way}MailServerAuthentication": "EmailAuthPassword",
        f"{way}MailServerHostName": server.host,
        f"{way}MailServerPortNumber": server.port,
        f"{way}MailServerUseSSL": True,
        f"{way}MailServerUsername": address,
    }


def _identifier(address: str) -> str:
    """Reverse domain first, as Apple writes identifiers; characters that it does not like become hyphens."""
    local, _, domain = address.rpartition("@")
    reverse = ".".join(reversed(domain.split(".")))
    return f"{reverse}.ceralacca." + "".join(one if one.isalnum() or one in ".-" else "-" for one in local)


def _uuid(what: str, address: str) -> str:
    return str(uuid5(OURS, f"{what}:{address}")).upper()
