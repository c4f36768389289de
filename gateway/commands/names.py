"""Addresses and domains as operators type and read them: in their own letters, while the wire knows A-labels only."""

import typer

from receipts.identifiers import is_smtp_address, to_a_labels, to_u_labels

__all__ = ["displayed", "endpoint", "given_address", "given_domain", "refuse"]

IMAPS = 993

REFUSED = 1  # exit code


def given_domain(text: str) -> str:
    """The domain in A-labels, lower case; a word and the end if it is none."""
    domain = to_a_labels(text)
    if domain is None or "." not in domain or not is_smtp_address(f"postmaster@{domain}"):
        raise refuse(f"{text}: is no domain")
    return domain


def given_address(text: str) -> str:
    """The address with its domain in A-labels; a word and the end if certified mail cannot carry it."""
    local, at, domain = text.rpartition("@")
    labels = to_a_labels(domain) if at else None
    if not local.isascii():
        raise refuse(f"{text}: letters outside ASCII before the @ need SMTPUTF8, which certified mail does not know")
    if labels is None or not is_smtp_address(address := f"{local}@{domain if domain.isascii() else labels}"):
        raise refuse(f"{text}: is no address")
    return address


def displayed(name: str) -> str:
    """An address or domain as it is, with its own letters behind it where these differ."""
    local, at, domain = name.rpartition("@")
    own = to_u_labels(domain)
    return name if own == domain.lower() else f"{name} ({local}{at}{own})"


def refuse(reason: str) -> typer.Exit:
    """Say why something is not done."""
    typer.echo(reason, err=True)
    return typer.Exit(REFUSED)


def endpoint(text: str) -> tuple[str, int]:
    """Host and port; that of IMAP over TLS if none is named."""
    host, colon, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "")
    if not host or (colon and not port.isdigit()):
        raise refuse(f"{text}: is no HOST or HOST:PORT")
    return host, int(port) if port else IMAPS
