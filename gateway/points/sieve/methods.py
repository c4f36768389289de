"""How somebody is told, as a URI of the extension enotify (RFC 5435, 5436): by mail to one address."""

from urllib.parse import unquote

from receipts.identifiers import is_smtp_address

__all__ = ["notified_address"]


def notified_address(uri: str) -> str | None:
    """The address of ``mailto:anna@example.org``; None if it is another URI. What stands behind "?" adds nothing."""
    scheme, colon, rest = uri.partition(":")
    address = unquote(rest.partition("?")[0], errors="replace").strip()
    return address if colon and scheme.lower() == "mailto" and is_smtp_address(address) else None
