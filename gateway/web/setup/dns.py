"""The DNS records by which programs find the servers of a domain (RFC 6186, RFC 8314, RFC 5804)."""

from collections.abc import Iterator

from gateway.web.setup.servers import MailServers, Service

__all__ = ["dns_records"]

LABELS = {
    (Service.SUBMISSION, True): "_submissions._tcp",
    (Service.SUBMISSION, False): "_submission._tcp",
    (Service.IMAP, True): "_imaps._tcp",
    (Service.IMAP, False): "_imap._tcp",
    (Service.POP3, True): "_pop3s._tcp",
    (Service.POP3, False): "_pop3._tcp",
    (Service.SIEVE, False): "_sieve._tcp",  # RFC 5804 1.8
}
PRIORITIES = {
    Service.SUBMISSION: 0,
    Service.IMAP: 0,
    Service.POP3: 10,
    Service.SIEVE: 0,
}  # a program that can do both takes IMAP
NOT_SERVED = "."  # RFC 6186 3.4: the service is decidedly not available


def dns_records(servers: MailServers, domain: str, *, https_port: int) -> Iterator[str]:
    """Lines of a zone file for one of our domains, absolute names, ready to paste."""
    served = {(server.service, server.implicit_tls): server for server in servers.servers}
    for key, label in LABELS.items():
        server = served.get(key)
        if server is None:
            yield f"{label}.{domain}. 3600 IN SRV 0 0 0 {NOT_SERVED}"
        else:
            priority = PRIORITIES[server.service]
            yield f"{label}.{domain}. 3600 IN SRV {priority} 1 {server.port} {server.host}."
    host = next((server.host for server in servers.servers), None)
    if host is None:
        return
    yield f"_autodiscover._tcp.{domain}. 3600 IN SRV 0 1 {https_port} {host}."
    yield f"autoconfig.{domain}. 3600 IN CNAME {host}."
