"""Both servers on loopback sockets, with fake flows behind them and a throw-away certificate."""

import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.flows.sessions import LiveSessions
from gateway.smtp.hardening import Budget
from gateway.smtp.limits import Limits
from gateway.smtp.listener import Listener
from gateway.smtp.relay_server import RelayServer
from gateway.smtp.submission import SubmissionServer
from tests.smtp.fakes import FakeClock, Flows, Sinks


@dataclass(frozen=True)
class Tls:
    """A server's context, a client's that trusts it, and the file it trusts."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    certificate_file: Path


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate_file, key_file)
    return Tls(server, ssl.create_default_context(cafile=str(certificate_file)), certificate_file)


@dataclass
class House:
    """Servers that share fake flows, limits, a budget and a clock."""

    tls: Tls
    flows: Flows = field(default_factory=Flows)
    sinks: Sinks = field(default_factory=Sinks)
    limits: Limits = field(default_factory=Limits)
    clock: FakeClock = field(default_factory=FakeClock)
    has_room: bool = True
    live: LiveSessions | None = None
    servers: list[Listener] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.budget = Budget(self.limits.max_in_flight_bytes)

    async def relay(self) -> tuple[RelayServer, int]:
        server = RelayServer(
            hostname="mx.alfa.example",
            domain="alfa.example",
            tls=self.tls.server,
            limits=self.limits,
            budget=self.budget,
            check=self.flows.check,
            receive=self.flows.receive,
            open_sink=self.sinks,
            clock=self.clock,
        )
        self.servers.append(server)
        return server, await server.listen("127.0.0.1", 0)

    async def submission(self, *, implicit_tls: bool = False) -> tuple[SubmissionServer, int]:
        server = SubmissionServer(
            hostname="mx.alfa.example",
            domain="alfa.example",
            tls=self.tls.server,
            limits=self.limits,
            budget=self.budget,
            sign_in=self.flows.sign_in,
            submit=self.flows.submit,
            open_sink=self.sinks,
            has_room=lambda: self.has_room,
            live=self.live,
            clock=self.clock,
        )
        self.servers.append(server)
        return server, await server.listen("127.0.0.1", 0, implicit_tls=implicit_tls)


@pytest.fixture
async def house(tls: Tls) -> AsyncIterator[Callable[..., House]]:
    """Makes houses; stops their servers afterwards, and sees that all of the budget was given back."""
    houses: list[House] = []

    def build(**limits: Any) -> House:
        houses.append(House(tls, limits=Limits(**limits)))
        return houses[-1]

    yield build
    for built in houses:
        for server in built.servers:
            await server.close(grace_seconds=5)
        assert built.budget.taken == 0
