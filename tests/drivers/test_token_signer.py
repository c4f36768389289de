"""A signing key on a token: SoftHSM, which is one in software, through its own process."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.drivers import token_signer
from gateway.drivers.keyfiles import KeyKind, KeyRefused, new_key
from gateway.drivers.token_signer import Token, TokenSigner
from gateway.lab.authority import Issued
from providers.sealing import seal
from receipts.errors import SigningUnavailable
from tests.providers.authorities import ALFA, ALFA_ADDRESS, AT, Network, openssl_verifies, unsealed

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "5678"


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty token with the label pec."""
    if not Path(MODULE).exists():
        if os.environ.get("CI") == "true":
            pytest.fail("SoftHSM is not installed (apt: softhsm2)")
        pytest.skip("SoftHSM is not installed (apt: softhsm2)")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(
        f"directories.tokendir = {tmp_path}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    util("--init-token", "--free", "--label", "pec", "--so-pin", "1234", "--pin", PIN)
    return tmp_path


def util(*arguments: str | Path) -> None:
    subprocess.run(["softhsm2-util", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def imported(folder: Path, issued: Issued) -> Issued:
    file = folder / "key.pem"
    file.write_bytes(issued.key_pem)
    util("--import", file, "--token", "pec", "--label", "sign", "--id", "01", "--pin", PIN)
    file.unlink()
    return issued


def signer(issued: Issued, *, pin: str = PIN, key: str = "sign", elliptic: bool = False) -> TokenSigner:
    where = Token(module=MODULE, label="pec", key=key, elliptic=elliptic)
    return TokenSigner(where, pin, issued.certificate, issued.chain)


@pytest.fixture
def alfa(token: Path, net: Network) -> Iterator[TokenSigner]:
    made = signer(imported(token, net.alfa))
    yield made
    made.close()


@pytest.mark.req("SIG-08")
def test_what_a_token_signs_openssl_believes(alfa: TokenSigner, net: Network, ca_file: Path) -> None:
    assert alfa.address == ALFA_ADDRESS
    assert alfa.chain == net.alfa.signer().chain
    assert openssl_verifies(seal(unsealed(), alfa, at=AT, boundary="sg1").read(), ca_file, "-cades")


@pytest.mark.req("SIG-08")
def test_elliptic_keys_sign_too(token: Path, net: Network, ca_file: Path) -> None:
    issued = net.authority.provider_certificate(ALFA, ALFA_ADDRESS, key=new_key(KeyKind.EC_P256))
    made = signer(imported(token, issued), elliptic=True)
    assert openssl_verifies(seal(unsealed(), made, at=AT, boundary="sg1").read(), ca_file, "-cades")
    made.close()


def test_a_wrong_pin_a_wrong_key_or_another_certificate_is_refused_at_the_start(token: Path, net: Network) -> None:
    imported(token, net.alfa)
    with pytest.raises(KeyRefused, match="PinIncorrect") as refused:
        signer(net.alfa, pin="0000")
    assert "0000" not in str(refused.value)
    with pytest.raises(KeyRefused, match="key other of token pec"):
        signer(net.alfa, key="other")
    with pytest.raises(KeyRefused, match="not the key of the certificate"):
        signer(net.beta)


def test_a_process_that_dies_is_started_again_after_a_pause(alfa: TokenSigner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert alfa._process is not None
    alfa._process.kill()
    alfa._process.join()
    with pytest.raises(SigningUnavailable):
        alfa.sign(b"data")
    alfa._opened_at = time.monotonic()
    with pytest.raises(SigningUnavailable, match="away"):
        alfa.sign(b"data")
    monkeypatch.setattr(token_signer, "REOPENED_AFTER", 0.0)
    assert alfa.sign(b"data")
