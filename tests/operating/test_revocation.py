"""A running provider and authorities that take certificates back: OpenSSL's responder, and a list on a web server."""

import smtplib
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway.lab.authority import Authority, Issued
from gateway.lab.files import write_private, write_public
from gateway.storage.downloads import Download, states
from providers.directory import ProviderRecord, sign_index, write_ldif
from tests.lab.labs import letter
from tests.lab.waiting import until
from tests.operating.providers import Network, Provider, Served


class Centre:
    """An authority's web server on this machine: its list, and the answers of OpenSSL's responder, which would
    itself listen on every address.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.list = b""
        centre = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(centre.list)

            def do_POST(self) -> None:
                self._say(centre.answer(self.rfile.read(int(self.headers["Content-Length"]))))

            def _say(self, data: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answers_for(self, authority: Authority) -> None:
        responder = authority.responder()
        for name, data in (("ca", authority.email_ca.pem), ("cert", responder.pem), ("key", responder.key_pem)):
            (self.folder / name).write_bytes(data)

    def says(self, issued: Issued, *, revoked: bool) -> None:
        """Write the database of OpenSSL's authority."""
        end = issued.certificate.not_valid_after_utc.strftime("%y%m%d%H%M%SZ")
        serial = issued.certificate.serial_number.to_bytes(20).lstrip(b"\0").hex().upper()
        state = f"R\t{end}\t{datetime.now(UTC):%y%m%d%H%M%SZ}" if revoked else f"V\t{end}\t"
        (self.folder / "index.txt").write_text(f"{state}\t{serial}\tunknown\t/CN=x\n")

    def answer(self, question: bytes) -> bytes:
        (self.folder / "question").write_bytes(question)
        command = ["openssl", "ocsp", "-index", "index.txt", "-CA", "ca", "-rsigner", "cert", "-rkey", "key"]
        command += ["-reqin", "question", "-respout", "answer", "-ndays", "1"]
        subprocess.run(command, cwd=self.folder, capture_output=True, check=True, timeout=60)
        return (self.folder / "answer").read_bytes()


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    folder = tmp_path / "centre"
    folder.mkdir()
    made = Centre(folder)
    yield made
    made.close()


def certified(net: Network, **urls: str) -> tuple[Authority, Issued]:
    """Alfa's new certificate, in its files and in the index."""
    alfa = net.alfa
    authority = Authority.load(alfa.layout.folder / "authority", datetime.now(UTC))
    issued = authority.provider_certificate(alfa.plan.name, alfa.plan.service.address, **urls)  # type: ignore[arg-type]
    write_public(alfa.files.signing_certificate, issued.pem)
    key = alfa.files.folder / "signing.key.pem"
    key.unlink()
    write_private(key, issued.key_pem)
    record = ProviderRecord(
        name=alfa.plan.name,
        certificates=(issued.der,),
        mail_receipt=alfa.plan.service.address,
        managed_domains=frozenset({alfa.plan.domain}),
    )
    signed = sign_index(write_ldif([record]), authority.index_signer().signer(), datetime.now(UTC))
    write_public(alfa.layout.index_file, signed)
    return authority, issued


def fetched(alfa: Provider, *, again: bool = False) -> list[Download]:
    """What alfa has fetched of late; ``again``: let it do so once more."""
    if again:
        subprocess.run([*alfa.command("index")[:-2], "fetched", "--again", "--config", str(alfa.config)], check=False)
    with alfa.storage() as storage:
        return storage.read_now(states)


def hand_in(alfa: Provider) -> tuple[int, bytes] | None:
    """A message from anna to carla; what was said against it."""
    message = letter("anna@alfa.example", to=["carla@alfa.example"], subject="prova")
    try:
        with alfa.submission() as client:
            client.send_message(message)
    except smtplib.SMTPDataError as error:
        return error.smtp_code, bytes(error.smtp_error) if isinstance(error.smtp_error, bytes) else b""
    return None


def alarm(served: Served, name: str) -> str:
    return str(served.event("alarm raised", lambda line: line["alarm"] == name)["detail"])


OPEN = {"CERALACCA_REVOCATION__PRIVATE_ADDRESSES": "true"}


@pytest.mark.req("IP-03")
def test_a_provider_whose_certificate_openssl_s_responder_revokes_signs_no_more(net: Network, centre: Centre) -> None:
    authority, issued = certified(net, ocsp_url=centre.url)
    centre.answers_for(authority)
    centre.says(issued, revoked=False)
    with net.alfa.serving(**OPEN) as served:
        until(lambda: any(each.good_at for each in fetched(net.alfa)), "the first answer")
        assert hand_in(net.alfa) is None
        centre.says(issued, revoked=True)
        fetched(net.alfa, again=True)
        assert "our own" in alarm(served, "certificate revoked")
        assert (hand_in(net.alfa) or (0, b""))[0] == 451


def test_a_list_of_revoked_certificates_does_the_same(net: Network, centre: Centre) -> None:
    authority, issued = certified(net, crl_url=f"{centre.url}email.crl")
    centre.list = authority.revocation_list([], datetime.now(UTC))
    with net.alfa.serving(**OPEN) as served:
        until(lambda: any(each.good_at for each in fetched(net.alfa)), "the first list")
        assert hand_in(net.alfa) is None
        centre.list = authority.revocation_list([issued], datetime.now(UTC))
        fetched(net.alfa, again=True)
        assert "our own" in alarm(served, "certificate revoked")
        assert (hand_in(net.alfa) or (0, b""))[0] == 451


def test_addresses_of_our_own_network_are_not_asked_unless_that_is_set(net: Network, centre: Centre) -> None:
    authority, _ = certified(net, crl_url=f"{centre.url}email.crl")
    centre.list = authority.revocation_list([], datetime.now(UTC))
    with net.alfa.serving() as served:
        told = served.event("revocation not fetched")
        assert "127.0.0.1 is a private address, which is not asked" in told["reason"]
        assert "our own" in alarm(served, "revocation unknown")
        assert hand_in(net.alfa) is None  # the default: what is not known to be revoked is believed
