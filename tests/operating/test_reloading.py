"""SIGHUP takes certificate, index and routes anew, each by itself; what is bad leaves the old in use (D33)."""

import shutil
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.lab.authority import Authority
from gateway.lab.files import write_private, write_public
from gateway.lab.network import Layout
from providers.directory import ProviderRecord, sign_index, write_ldif
from tests.lab.waiting import until
from tests.operating.peers import peer
from tests.operating.providers import Network, Provider

BRUNO = "bruno@beta.example"


def shown(alfa: Provider, service: str = "submissions") -> bytes:
    """The certificate that a new client sees, in DER."""
    with (
        socket.create_connection(("localhost", alfa.ports[service]), timeout=60) as raw,
        alfa.context().wrap_socket(raw, server_hostname="localhost") as client,
    ):
        der = client.getpeercert(binary_form=True)
    assert der is not None
    return der


def der_of(file: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(file.read_text().partition("-----END")[0] + "-----END CERTIFICATE-----\n")


def authority(layout: Layout) -> Authority:
    return Authority.load(layout.folder / "authority", datetime.now(UTC))


def renew_certificate(layout: Layout) -> bytes:
    """As a program that renews certificates does; the new one in DER."""
    issued = authority(layout).tls_certificate()
    write_public(layout.tls_certificate, issued.pem)
    write_private(layout.tls_key, issued.key_pem)
    return der_of(layout.tls_certificate)


def publish(alfa: Provider, *domains: str) -> None:
    """An index in which alfa has these domains."""
    record = ProviderRecord(
        name=alfa.plan.name,
        certificates=(der_of(alfa.files.signing_certificate),),
        mail_receipt=alfa.plan.service.address,
        managed_domains=frozenset(domains),
    )
    data = sign_index(write_ldif([record]), authority(alfa.layout).index_signer().signer(), datetime.now(UTC))
    write_public(alfa.layout.index_file, data)


@pytest.mark.parametrize("service", ["submissions", "imaps", "pop3s", "https"])
def test_new_connections_see_the_new_certificate_and_old_ones_live_on(alfa: Provider, service: str) -> None:
    with alfa.serving() as served, alfa.submission() as holder:
        before = shown(alfa, service)
        renewed = renew_certificate(alfa.layout)
        assert shown(alfa, service) == before != renewed
        assert served.hang_up()["certificate"] is True
        assert shown(alfa, service) == renewed
        assert holder.noop()[0] == 250


def test_bad_files_leave_the_old_ones_in_use_and_the_log_says_so(alfa: Provider) -> None:
    with alfa.serving() as served:
        before = shown(alfa)
        alfa.layout.tls_certificate.write_text("no certificate")
        alfa.layout.index_file.write_text("no index")
        told = served.hang_up()
        assert (told["certificate"], told["index"], told["routes"]) == (False, False, True)
        (certificate,) = served.events("TLS certificate not reloaded, the old one stays in use")
        assert str(alfa.layout.tls_certificate) in certificate["reason"]
        assert served.events("provider index not loaded")[0]["last_good_in_use"] is True
        assert shown(alfa) == before
        alfa.send(BRUNO)
        assert served.process.poll() is None


def test_a_key_that_others_can_read_is_not_taken(alfa: Provider) -> None:
    with alfa.serving() as served:
        before = shown(alfa)
        renew_certificate(alfa.layout)
        alfa.layout.tls_key.chmod(0o644)
        assert served.hang_up()["certificate"] is False
        assert "open to others" in served.events("TLS certificate not reloaded, the old one stays in use")[0]["reason"]
        assert shown(alfa) == before


def test_a_bad_configuration_does_not_hold_up_a_new_certificate(alfa: Provider) -> None:
    with alfa.serving() as served:
        alfa.configure("[provider]", "[provider]\nnam = 1")
        renewed = renew_certificate(alfa.layout)
        told = served.hang_up()
        assert (told["routes"], told["certificate"]) == (False, True)
        (refused,) = served.events("configuration not reloaded, the old one stays in use")
        assert 'provider.nam: unknown key, perhaps "name"' in refused["reason"]
        assert shown(alfa) == renewed


def test_mail_takes_the_new_routes(net: Network) -> None:
    alfa = net.alfa
    with peer(net.layout) as first, peer(net.layout) as second:
        alfa.route(net.beta, first.port)
        with alfa.serving() as served:
            alfa.send(BRUNO)
            first.wait(lambda one: one.messages, "message at the first server")
            alfa.route(net.beta, second.port)
            assert served.hang_up()["routes"] is True
            alfa.send(BRUNO)
            second.wait(lambda one: one.messages, "message at the second server")
        assert len(first.messages) == len(second.messages) == 1


def test_a_route_whose_authorities_are_missing_is_not_taken(net: Network) -> None:
    alfa = net.alfa
    with peer(net.layout) as first:
        alfa.route(net.beta, first.port)
        with alfa.serving() as served:
            alfa.configure(f"port = {first.port}", 'port = 1\ntls_ca_file = "missing.pem"')
            assert served.hang_up()["routes"] is False
            alfa.send(BRUNO)
            first.wait(lambda one: one.messages, "message at the old server")


def test_the_index_is_taken_when_it_changes_without_a_signal(net: Network) -> None:
    with net.alfa.serving() as served:
        publish(net.alfa, "alfa.example", "pec.alfa.example")
        loaded = served.event("provider index loaded", lambda line: line["domains"] == 2 and line["providers"] == 1)
        assert loaded["level"] == "info"


def test_certificate_and_index_may_move_and_other_changes_wait_for_a_restart(alfa: Provider) -> None:
    with alfa.serving() as served:
        elsewhere = alfa.layout.folder / "elsewhere"
        elsewhere.mkdir()
        for file in (alfa.layout.tls_certificate, alfa.layout.tls_key, alfa.layout.index_file):
            shutil.move(file, elsewhere / file.name)
            alfa.configure(f'"{file}"', f'"{elsewhere / file.name}"')
        alfa.configure("publish = true", "publish = false")
        alfa.config.write_text(alfa.config.read_text() + "\n[limits]\nmax_recipients = 60\n")
        told = served.hang_up()
        assert (told["routes"], told["certificate"], told["index"]) == (True, True, True)
        (waiting,) = served.events("settings that changed wait for a restart")
        assert waiting["settings"] == ["index.publish", "limits.max_recipients"]


def test_signals_in_a_row_do_no_harm(alfa: Provider) -> None:
    with alfa.serving() as served:
        for _ in range(20):
            served.hang_up()
        alfa.send(BRUNO)
        assert until(lambda: alfa.mailbox("anna").mails(), "acceptance receipt")
        assert served.stop() == 0
