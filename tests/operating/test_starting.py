"""A provider that cannot start says why in one line, answers nobody, and leaves nothing behind."""

import json
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.lab.ports import FreePorts
from tests.operating.providers import Provider


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionRefusedError:
        return False
    return True


def last_line(said: str) -> str:
    return said.splitlines()[-1]


def _tls_key(alfa: Provider) -> Path:
    return alfa.layout.tls_key


def _signing_key(alfa: Provider) -> Path:
    return alfa.files.folder / "signing.key.pem"


def _password_file(alfa: Provider) -> Path:
    file = alfa.files.folder / "password"
    file.write_text("secret\n")
    alfa.configure("chain_file =", f'password_file = "{file}"\nchain_file =')
    return file


@pytest.mark.parametrize("which", [_tls_key, _signing_key, _password_file])
def test_a_key_that_others_can_read_stops_the_start(alfa: Provider, which: Callable[[Provider], Path]) -> None:
    file = which(alfa)
    file.chmod(0o644)
    code, said = alfa.refused()
    assert code == 2
    assert re.fullmatch(
        rf"{alfa.config}: [a-z]+\.[a-z_]+: {file}: open to others \(mode 0644\); make it 0600 or 0640\n", said
    )


def test_a_second_process_on_an_sqlite_file_is_refused(alfa: Provider) -> None:
    with alfa.serving() as first:
        others = {
            f"CERALACCA_LISTEN__{service.upper()}": json.dumps([f"127.0.0.1:{port}"])
            for service, port in _other_ports(alfa).items()
        }
        code, said = alfa.refused(**others)
        assert code == 1
        assert "another process serves this file; more than one needs PostgreSQL" in last_line(said)
        assert first.process.poll() is None
        alfa.send(f"bruno@{alfa.plan.domain}")


def _other_ports(alfa: Provider) -> dict[str, int]:
    free = FreePorts(set())
    ports = {service: free.take() for service in alfa.ports}
    free.release()
    return ports


@pytest.mark.parametrize("service", ["submission", "smtp", "pop3s", "https"])
def test_a_port_in_use_is_named_and_no_other_port_answers(alfa: Provider, service: str) -> None:
    with socket.create_server(("127.0.0.1", alfa.ports[service])):
        code, said = alfa.refused()
        assert code == 1
        place = f"127.0.0.1:{alfa.ports[service]}"
        assert last_line(said) == (f"{alfa.config}: cannot serve: listen.{service}: {place}: Address already in use")
    assert not any(answers(port) for port in alfa.ports.values())
    with alfa.serving() as served:  # and nothing is left that would be in the way
        assert served.stop() == 0


def test_an_address_of_another_machine_is_named(alfa: Provider) -> None:
    code, said = alfa.refused(CERALACCA_LISTEN__SMTP='["192.0.2.1:2525"]')
    assert code == 1
    assert last_line(said).endswith("listen.smtp: 192.0.2.1:2525: Cannot assign requested address")


def test_a_port_that_only_root_may_take_says_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    from config.settings import Endpoint, ListenSettings
    from gateway.app import ports

    def forbidden(host: str, port: int) -> list[socket.socket]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ports, "listening", forbidden)
    with pytest.raises(ports.PortUnavailable, match=r"listen\.submission: \*:587: Permission denied .*CAP_NET_BIND"):
        ports.Ports(ListenSettings(submission=(Endpoint("", 587),)))


def _strangers_certificate(alfa: Provider) -> str:
    certificate = alfa.layout.tls_certificate.read_bytes()
    alfa.files.signing_certificate.write_bytes(certificate)
    return "signing.key.pem: the certificate is over another key"


def _no_certificates(alfa: Provider) -> str:
    alfa.layout.ca_file.write_text("nothing")
    return "ca.pem: no certificates in PEM"


def _encrypted_port_key(alfa: Provider) -> str:
    from gateway.drivers.keyfiles import key_pem, load_key

    key, _ = load_key(alfa.layout.tls_key)
    alfa.layout.tls_key.write_bytes(key_pem(key, b"secret"))
    return "tls.key.pem: "


def _no_password(alfa: Provider) -> str:
    _password_file(alfa).write_text("\n")
    (alfa.files.folder / "password").chmod(0o600)
    return "password: its first line is empty"


def _no_database(alfa: Provider) -> str:
    alfa.configure("sqlite:///", "postgresql+psycopg://ceralacca@/x?host=/nowhere&ignored=")
    return "the database cannot be reached: "


def _no_log(alfa: Provider) -> str:
    alfa.config.write_text(alfa.config.read_text() + f'\n[log]\nfile = "{alfa.files.folder}/none/gateway.log"\n')
    return "No such file or directory"


@pytest.mark.parametrize(
    "damage",
    [_strangers_certificate, _no_certificates, _encrypted_port_key, _no_password, _no_database, _no_log],
)
def test_what_cannot_be_used_is_named_in_the_last_line(alfa: Provider, damage: Callable[[Provider], str]) -> None:
    expected = damage(alfa)
    code, said = alfa.refused()
    assert code == 1
    assert last_line(said).startswith(f"{alfa.config}: cannot serve: ")
    assert expected in last_line(said)
    assert "Traceback" not in said
    assert "secret" not in said


def test_a_faulty_configuration_is_named_with_its_lines(alfa: Provider) -> None:
    alfa.configure("[provider]", "[provider]\nnam = 1")
    code, said = alfa.refused()
    assert code == 2
    assert 'provider.nam: unknown key, perhaps "name"' in said


def test_a_hangup_while_it_starts_does_no_harm(alfa: Provider) -> None:
    with alfa.starting() as served:
        while not (alfa.files.data / "ceralacca.sqlite.lock").exists() and served.process.poll() is None:
            pass
        served.process.send_signal(signal.SIGHUP)
        served.event("serving")
        served.event("reloaded")
        assert served.stop() == 0


def test_a_stop_while_it_starts_is_heard(alfa: Provider) -> None:
    with alfa.starting() as served:
        while not (alfa.files.data / "ceralacca.sqlite.lock").exists() and served.process.poll() is None:
            pass
        assert served.stop() == 0
