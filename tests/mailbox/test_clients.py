"""POP3 with programs that others wrote: what they fetch is what is kept, byte for byte."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.mailbox.house import MESSAGES, PASSWORD, House

ANNA = "anna@alfa.example"


def program(name: str) -> str:
    """Where a program is. Without it the test is left out, but never in CI."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


async def run(*command: str | Path, said: bytes = b"") -> tuple[int, bytes]:
    """Exit status and everything that the program said."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "LC_ALL": "C"},
    )
    try:
        told, _ = await asyncio.wait_for(process.communicate(said), 60)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return process.returncode, told


def secret_file(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path


@pytest.mark.parametrize("stls", [False, True], ids=["tls", "stls"])
@pytest.mark.req("SEC-02")
async def test_openssl_speaks_to_it(house: House, stls: bool) -> None:
    port = house.clear if stls else house.secure
    said = f"USER {ANNA}\r\nPASS {PASSWORD}\r\nRETR 1\r\nQUIT\r\n".encode()
    status, told = await run(
        program("openssl"),
        *("s_client", "-quiet", "-ign_eof", "-connect", f"localhost:{port}", "-verify_return_error"),
        *("-verify_hostname", "localhost", "-CAfile", house.tls.certificate),
        *(("-starttls", "pop3") if stls else ()),
        said=said,
    )
    assert status == 0, told
    assert b"+OK 90 octets\r\n" + MESSAGES[0].replace(b"\r\n.", b"\r\n..") + b".\r\n+OK bye\r\n" in told


@pytest.mark.parametrize("stls", [False, True], ids=["tls", "stls"])
@pytest.mark.parametrize("keep", [False, True], ids=["delete", "keep"])
async def test_fetchmail_fetches(house: House, tmp_path: Path, stls: bool, keep: bool) -> None:
    port = house.clear if stls else house.secure
    rules = secret_file(
        tmp_path / "rules",
        f'set invisible\npoll localhost service {port} protocol pop3 uidl user "{ANNA}" password "{PASSWORD}" '
        f"{'' if stls else 'ssl'} sslproto 'tls1.2+' sslcertck sslcertfile {house.tls.certificate} "
        f"{'keep' if keep else 'nokeep'} no rewrite mda 'cat >> {tmp_path}/mail'\n",
    )
    command = (program("fetchmail"), "-f", rules, "-i", tmp_path / "ids", "--pidfile", tmp_path / "pid", "--nosyslog")
    status, told = await run(*command)
    assert status == 0, told
    got = (tmp_path / "mail").read_bytes()
    for message in MESSAGES:
        text = message.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n")
        assert text in got
    assert len(house.box.kept) == (3 if keep else 0)
    status, told = await run(*command)
    assert status == 1, told  # nothing new: by the unique ids when they were kept
    assert (tmp_path / "mail").read_bytes() == got


@pytest.mark.parametrize("auth", ["user", "plain"])
@pytest.mark.parametrize("pipelining", ["on", "off"])
async def test_mpop_fetches_with_and_without_pipelining(
    house: House, tmp_path: Path, pipelining: str, auth: str
) -> None:
    for number in range(30):
        house.box.add(b"Subject: %d\r\n\r\n" % number + b".punto\r\n" * 1_000)
    expected = {kept.message.read().replace(b"\r\n", b"\n") for kept in house.box.kept}
    box = tmp_path / "box"
    for folder in ("cur", "new", "tmp"):
        (box / folder).mkdir(parents=True)
    rules = secret_file(
        tmp_path / "rules",
        f"defaults\nhost localhost\nport {house.secure}\ntls on\ntls_starttls off\n"
        f"tls_trust_file {house.tls.certificate}\naccount anna\nuser {ANNA}\npassword {PASSWORD}\nauth {auth}\n"
        f"pipelining {pipelining}\nreceived_header off\nkeep off\nuidls_file {tmp_path}/ids\ndelivery maildir {box}\n",
    )
    status, told = await run(program("mpop"), "-C", rules, "anna")
    assert status == 0, told
    assert {file.read_bytes() for file in (box / "new").iterdir()} == expected
    assert house.box.kept == []


async def test_mpop_with_stls_and_a_wrong_password(house: House, tmp_path: Path) -> None:
    rules = secret_file(
        tmp_path / "rules",
        f"defaults\nhost localhost\nport {house.clear}\ntls on\ntls_starttls on\n"
        f"tls_trust_file {house.tls.certificate}\naccount anna\nuser {ANNA}\npassword sbagliata\nauth user\n"
        f"uidls_file {tmp_path}/ids\ndelivery mbox {tmp_path}/mail\n",
    )
    status, told = await run(program("mpop"), "-C", rules, "anna")
    assert status != 0
    assert b"password wrong" in told
    assert [peer.tls for peer in house.peers] == [True]
