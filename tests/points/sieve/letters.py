"""Messages and the asking of scripts about them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.points.rules import Facts, Verdict
from gateway.points.sieve.check import understood
from gateway.points.sieve.mail import Mail
from gateway.points.sieve.verdict import scripted
from receipts.scanner import scan_header

__all__ = ["ANNA", "FACTS", "MAIL", "ask", "mail"]

ANNA = b"""\
Received: from mx.alfa.example (mx.alfa.example [192.0.2.1]);\r
 Sun, 22 Nov 2026 06:30:00 +0100\r
From: Anna Rossi <Anna.Rossi@alfa.example>\r
To: bruno+fatture@beta.example, "Carla, Neri" <carla@beta.example>\r
Cc: dario@gamma.example\r
Subject: =?utf-8?q?Perizia_n=C2=B0_12?= *urgente*\r
Date: Sun, 22 Nov 2026 05:59:58 +0000\r
X-Punti: 12\r
X-Due: uno\r
X-Due: due\r
X-Vuoto:\r
\r
Salve.\r
"""
FACTS = Facts(
    sender="anna.rossi@alfa.example",
    recipients=("bruno@beta.example", "carla@beta.example"),
    subject="Perizia n. 12",
    signer="Alfa PEC S.p.A.",
    kind="envelope",
    size=5_000,
)
MAIL = Mail(
    header=scan_header(ANNA),
    reverse_path="anna.rossi@alfa.example",
    forward_path="bruno+fatture@beta.example",
    at=datetime(2026, 11, 22, 6, 0, tzinfo=UTC),
    facts=FACTS,
    folders=frozenset({"INBOX", "Perizie"}),
)


def mail(raw: bytes = ANNA, **changes: Any) -> Mail:
    """The same mail with other bytes, facts (``kind``, ``size``...) or surroundings."""
    facts = {name: changes.pop(name) for name in list(changes) if hasattr(FACTS, name)}
    return replace(MAIL, header=scan_header(raw), facts=replace(FACTS, **facts), **changes)


def ask(script: str | bytes, about: Mail = MAIL) -> Verdict:
    """What a script says of a message."""
    return scripted(understood(script if isinstance(script, bytes) else script.encode("utf-8")), about)
