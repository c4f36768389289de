"""Thunderbird's autoconfig, which K-9, Evolution, KMail and others read too.

Source: https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat, version 1.1.
"""

from xml.sax.saxutils import escape, quoteattr

from gateway.web.setup.servers import MailServer, MailServers, Service

__all__ = ["client_config"]

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def client_config(servers: MailServers, domain: str) -> bytes:
    """The configuration for every address of ``domain``; the program fills in ``%EMAILADDRESS%`` itself."""
    incoming = [_server("incomingServer", server) for server in servers.of(Service.IMAP, Service.POP3)]
    outgoing = [_server("outgoingServer", server) for server in servers.of(Service.SUBMISSION)]
    lines = (
        '<clientConfig version="1.1">',
        f"  <emailProvider id={quoteattr(domain)}>",
        f"    <domain>{escape(domain)}</domain>",
        f"    <displayName>{escape(servers.provider)}</displayName>",
        f"    <displayShortName>{escape(servers.short_name)}</displayShortName>",
        *incoming,
        *outgoing,
        "  </emailProvider>",
        "</clientConfig>",
    )
    return (HEAD + "\n".join(lines) + "\n").encode()


def _server(element: str, server: MailServer) -> str:
    return "\n".join(
        (
            f'    <{element} type="{server.service}">',
            f"      <hostname>{escape(server.host)}</hostname>",
            f"      <port>{server.port}</port>",
            f"      <socketType>{'SSL' if server.implicit_tls else 'STARTTLS'}</socketType>",
            "      <authentication>password-cleartext</authentication>",  # which is never in clear: TLS comes first
            "      <username>%EMAILADDRESS%</username>",
            f"    </{element}>",
        )
    )
