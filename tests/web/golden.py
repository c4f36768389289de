"""Builds the golden pages from what is asked; as a program, writes them again, on purpose.

Each folder of ``tests/web/golden`` holds a question, ``asked.toml``, and the page, ``expected.html``, byte for byte.
"""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.web.setup.asked import Asked, asked
from gateway.web.setup.guide import guide
from gateway.web.setup.servers import MailServer, MailServers, Service

GOLDEN = Path(__file__).parent / "golden"
OURS = frozenset({"alfa.example", "xn--perch-fsa.example"})
HOST = "mail.alfa.example"
SERVERS = (
    MailServer(service=Service.SUBMISSION, host=HOST, port=465, implicit_tls=True),
    MailServer(service=Service.SUBMISSION, host=HOST, port=587, implicit_tls=False),
    MailServer(service=Service.IMAP, host=HOST, port=993, implicit_tls=True),
    MailServer(service=Service.POP3, host=HOST, port=995, implicit_tls=True),
    MailServer(service=Service.SIEVE, host=HOST, port=4190, implicit_tls=False),
)


def cases() -> list[Path]:
    return sorted(facts.parent for facts in GOLDEN.glob("*/asked.toml"))


def question(case: Path) -> Asked:
    facts = _facts(case)
    fields = {name: facts[name] for name in ("address", "program", "language") if name in facts}
    return asked(fields, facts["accept_language"], OURS.__contains__)


def built(case: Path) -> bytes:
    """The page of a case."""
    facts = _facts(case)
    services = facts.get("services", list(Service))
    servers = MailServers(
        provider='Alfa "PEC" & figli',
        short_name="Alfa",
        servers=tuple(server for server in SERVERS if server.service in services),
        help_at=facts.get("help_at"),
    )
    return guide(servers, question(case))


def _facts(case: Path) -> dict[str, Any]:
    return tomllib.loads((case / "asked.toml").read_text("utf-8"))


def _rewritten(names: list[str]) -> Iterator[Path]:
    for case in cases():
        file = case / "expected.html"
        if (not names or case.name in names) and (not file.exists() or file.read_bytes() != built(case)):
            file.write_bytes(built(case))
            yield file


if __name__ == "__main__":
    for changed in _rewritten(sys.argv[1:]):
        print(changed.relative_to(GOLDEN))
