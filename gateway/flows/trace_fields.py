"""The trace fields this provider prepends: Received, and Return-Path on storing (RFC 5321 section 4.4, D21)."""

from datetime import datetime
from email.utils import format_datetime

from gateway.flows.outcomes import Peer

__all__ = ["received_at_arrival", "received_at_submission", "return_path"]


def received_at_submission(peer: Peer, *, by: str, token: str, at: datetime, show_address: bool) -> bytes:
    """One Received field; the holder's network address stands in it only if the provider shows it."""
    source = _literal(peer) if show_address else "authenticated-holder"
    return _received(source, by, "ESMTPSA" if peer.tls else "ESMTPA", token, at)


def received_at_arrival(peer: Peer, *, by: str, token: str, at: datetime) -> bytes:
    return _received(_literal(peer), by, "ESMTPS" if peer.tls else "ESMTP", token, at)


def return_path(reverse_path: str) -> bytes:
    return f"Return-Path: <{reverse_path}>\r\n".encode("ascii", "replace")


def _literal(peer: Peer) -> str:
    """The peer's network address as RFC 5321 section 4.1.3 writes it."""
    return f"[IPv6:{peer.address}]" if ":" in peer.address else f"[{peer.address}]"


def _received(source: str, by: str, protocol: str, token: str, at: datetime) -> bytes:
    text = f"Received: from {source} by {by} with {protocol}\r\n id {token}; {format_datetime(at)}\r\n"
    return text.encode("ascii")
