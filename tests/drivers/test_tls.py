import asyncio
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from gateway.drivers.keyfiles import KeyRefused, key_pem, load_key
from gateway.drivers.tls import ClientContexts, ServerTls, TlsPolicy, client_trusting
from tests.drivers.scripted import make_ca


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two certificates for the same name, each with its root."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        make_ca(folder, "localhost")
        (folder / "peer.key").chmod(0o600)
    return first, second


async def served_certificate(tls: ServerTls, name: str = "localhost") -> x509.Certificate:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls.context)
    port = server.sockets[0].getsockname()[1]
    anybody = ClientContexts().context(TlsPolicy.ENCRYPT, None)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=anybody, server_hostname=name)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    server.close()
    return x509.load_der_x509_certificate(der)


def certificate(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "peer.pem").read_bytes())


def files(folder: Path) -> tuple[Path, Path]:
    return folder / "peer.pem", folder / "peer.key"


async def test_a_renewed_certificate_is_served_after_reload(folders: tuple[Path, Path]) -> None:
    first, second = folders
    tls = ServerTls(*files(first))
    old = certificate(first)
    assert await served_certificate(tls) == old
    for name in ("peer.pem", "peer.key"):
        shutil.copy(second / name, first / name)
    assert await served_certificate(tls) == old
    tls.reload(*files(first))
    assert await served_certificate(tls) == certificate(second) != old


async def test_the_certificate_may_come_from_other_files(folders: tuple[Path, Path]) -> None:
    first, second = folders
    tls = ServerTls(*files(first))
    tls.reload(*files(second))
    assert await served_certificate(tls) == certificate(second)


async def test_clients_that_name_no_host_see_the_new_certificate_too(folders: tuple[Path, Path]) -> None:
    first, second = folders
    tls = ServerTls(*files(first))
    tls.reload(*files(second))
    assert await served_certificate(tls, name="") == certificate(second)


async def test_connections_that_live_go_on(folders: tuple[Path, Path]) -> None:
    first, second = folders
    tls = ServerTls(*files(first))

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=tls.context) as server:
        port = server.sockets[0].getsockname()[1]
        anybody = ClientContexts().context(TlsPolicy.ENCRYPT, None)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=anybody, server_hostname="localhost")
        tls.reload(*files(second))
        writer.write(b"still there\n")
        assert await asyncio.wait_for(reader.readline(), 60) == b"still there\n"
        writer.close()


def _missing(first: Path, second: Path) -> None:
    (first / "peer.pem").unlink()


def _garbage(first: Path, second: Path) -> None:
    (first / "peer.pem").write_text("no certificate")


def _strangers_key(first: Path, second: Path) -> None:
    shutil.copy(second / "peer.key", first / "peer.key")


def _open_key(first: Path, second: Path) -> None:
    (first / "peer.key").chmod(0o644)


def _encrypted_key(first: Path, second: Path) -> None:
    key, _ = load_key(first / "peer.key")
    (first / "peer.key").write_bytes(key_pem(key, b"secret"))


@pytest.mark.parametrize("damage", [_missing, _garbage, _strangers_key, _open_key, _encrypted_key])
async def test_bad_files_leave_the_old_certificate_in_use(
    folders: tuple[Path, Path], damage: Callable[[Path, Path], None]
) -> None:
    first, second = folders
    tls = ServerTls(*files(first))
    old = certificate(first)
    damage(first, second)
    with pytest.raises((OSError, KeyRefused), match=r"peer\.(key|pem): "):
        tls.reload(*files(first))
    assert await served_certificate(tls) == old
    with pytest.raises((OSError, KeyRefused), match=r"peer\.(key|pem): "):
        ServerTls(*files(first))


def test_no_context_speaks_less_than_tls_1_2(folders: tuple[Path, Path]) -> None:
    contexts = ClientContexts()
    for policy in TlsPolicy:
        assert contexts.context(policy, None).minimum_version >= ssl.TLSVersion.TLSv1_2
    assert ServerTls(folders[0] / "peer.pem", folders[0] / "peer.key").context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_only_verify_verifies_and_it_looks_at_the_name(folders: tuple[Path, Path]) -> None:
    contexts = ClientContexts()
    verifying = contexts.context(TlsPolicy.VERIFY, str(folders[0] / "root.pem"))
    assert (verifying.verify_mode, verifying.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(verifying.get_ca_certs()) == 1  # the given roots alone, not the system's beside them
    assert contexts.context(TlsPolicy.ENCRYPT, None).verify_mode is ssl.CERT_NONE


def test_contexts_are_kept_until_renewed_and_then_if_the_new_file_is_bad(folders: tuple[Path, Path]) -> None:
    contexts, file = ClientContexts(), folders[0] / "root.pem"
    first = contexts.context(TlsPolicy.VERIFY, str(file))
    assert contexts.context(TlsPolicy.VERIFY, str(file)) is first
    shutil.copy(folders[1] / "root.pem", file)
    assert contexts.renew() == []
    second = contexts.context(TlsPolicy.VERIFY, str(file))
    assert second.get_ca_certs(binary_form=True) != first.get_ca_certs(binary_form=True)
    file.write_text("no certificate")
    (fault,) = contexts.renew()
    assert str(file) in fault
    assert contexts.context(TlsPolicy.VERIFY, str(file)) is second


@pytest.mark.parametrize("content", [None, "no certificate", ""])
def test_authorities_that_cannot_be_used_are_refused_by_name(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(KeyRefused, match="authorities"):
        client_trusting(file)
