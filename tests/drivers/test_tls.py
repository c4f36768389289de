import asyncio
import shutil
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from gateway.drivers.tls import ClientContexts, ServerTls, TlsPolicy
from tests.drivers.scripted import make_ca


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two certificates for the same name, each with its root."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        make_ca(folder, "localhost")
    return first, second


async def served_certificate(tls: ServerTls) -> x509.Certificate:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls.context)
    port = server.sockets[0].getsockname()[1]
    anybody = ClientContexts().context(TlsPolicy.ENCRYPT, None)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=anybody, server_hostname="localhost")
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    server.close()
    return x509.load_der_x509_certificate(der)


def certificate(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "peer.pem").read_bytes())


async def test_a_renewed_certificate_is_served_after_reload(folders: tuple[Path, Path]) -> None:
    first, second = folders
    tls = ServerTls(first / "peer.pem", first / "peer.key")
    old = certificate(first)
    assert await served_certificate(tls) == old
    for name in ("peer.pem", "peer.key"):
        shutil.copy(second / name, first / name)
    tls.reload()
    assert await served_certificate(tls) == certificate(second) != old


@pytest.mark.parametrize("damage", ["missing", "garbage", "stranger's key"])
async def test_a_bad_certificate_leaves_the_old_one_in_use(folders: tuple[Path, Path], damage: str) -> None:
    first, second = folders
    tls = ServerTls(first / "peer.pem", first / "peer.key")
    old = certificate(first)
    if damage == "missing":
        (first / "peer.pem").unlink()
    elif damage == "garbage":
        (first / "peer.pem").write_text("no certificate")
    else:
        shutil.copy(second / "peer.key", first / "peer.key")
    with pytest.raises(OSError):
        tls.reload()
    assert await served_certificate(tls) == old


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


def test_contexts_are_kept_until_forgotten(folders: tuple[Path, Path]) -> None:
    contexts, file = ClientContexts(), str(folders[0] / "root.pem")
    first = contexts.context(TlsPolicy.VERIFY, file)
    assert contexts.context(TlsPolicy.VERIFY, file) is first
    contexts.forget()
    assert contexts.context(TlsPolicy.VERIFY, file) is not first
