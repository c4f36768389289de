"""A port is ours from the moment it listens, or the start learns why not."""

import errno
import socket

import pytest

from gateway.drivers import listening as module
from gateway.drivers.listening import listening


def close(opened: list[socket.socket]) -> None:
    for each in opened:
        each.close()


def test_who_connects_before_anybody_answers_waits() -> None:
    opened = listening("127.0.0.1", 0)
    client = socket.create_connection(opened[0].getsockname(), timeout=60)
    answering, _ = opened[0].accept()
    answering.sendall(b"220\r\n")
    assert client.recv(100) == b"220\r\n"
    client.close()
    answering.close()
    close(opened)


def test_every_address_of_a_name_gets_the_same_port() -> None:
    opened = listening("localhost", 0)
    assert len({each.getsockname()[1] for each in opened}) == 1
    close(opened)


def test_a_port_that_is_taken_on_another_address_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("127.0.0.1", "127.0.0.2")]
    monkeypatch.setattr(module.socket, "getaddrinfo", lambda *_, **__: found)
    drawn: list[tuple[object, ...]] = []
    real = module._opened

    def opened(family: int, address: tuple[object, ...], backlog: int) -> socket.socket:
        drawn.append(address)
        if len(drawn) == 2:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return real(family, address, backlog)

    monkeypatch.setattr(module, "_opened", opened)
    both = listening("two.example", 0)
    assert [host for host, _ in drawn] == ["127.0.0.1", "127.0.0.2"] * 2
    assert len({each.getsockname()[1] for each in both}) == 1
    close(both)


def test_every_address_of_the_machine() -> None:
    opened = listening("", 0)
    assert {each.getsockname()[0] for each in opened} <= {"0.0.0.0", "::"}
    close(opened)


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_a_port_in_use_is_refused_and_nothing_stays_open(host: str) -> None:
    opened = listening("127.0.0.1", 0)
    port = opened[0].getsockname()[1]
    with pytest.raises(OSError) as refused:
        listening(host, port)
    assert refused.value.errno == errno.EADDRINUSE
    close(opened)
    again = listening(host, port)
    close(again)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(OSError) as refused:
        listening("192.0.2.1", 0)
    assert refused.value.errno == errno.EADDRNOTAVAIL


def test_a_name_whose_second_address_is_missing_here_has_its_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """As "localhost" on a machine without IPv6."""
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
    ]
    monkeypatch.setattr(module.socket, "getaddrinfo", lambda *_, **__: found)
    opened = listening("two.example", 0)
    assert [each.getsockname()[0] for each in opened] == ["127.0.0.1"]
    close(opened)
