"""Real clients against both servers: smtplib, aiosmtplib, swaks and openssl."""

import asyncio
import os
import shutil
import smtplib
from asyncio.subprocess import PIPE
from collections.abc import Callable
from email.message import EmailMessage

import aiosmtplib
import pytest

from gateway.flows.outcomes import Submission
from tests.smtp.conftest import House, Tls
from tests.smtp.fakes import PASSWORD

Houses = Callable[..., House]

USER = "anna@alfa.example"
TEXT = "Perché no?\n.una riga con il punto\n..\n" + "lunga " * 30 + "\n"


def message() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = USER, "bruno@beta.example", "Prova"
    mail.set_content(TEXT, cte="8bit")
    return mail


def the_message(built: House) -> bytes:
    (taken,) = built.flows.messages
    return taken.message.read()


def needs(program: str) -> None:
    if shutil.which(program) is None:
        assert os.environ.get("CI") != "true", f"{program} is not installed"
        pytest.skip(f"{program} is not installed")


async def run(*command: str, typed: bytes = b"", after: bytes = b"") -> tuple[int | None, str]:
    """What the program returns and writes; ``typed`` is typed once it has written ``after``."""
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=asyncio.subprocess.STDOUT)
    async with asyncio.timeout(60):
        assert process.stdout is not None
        greeting = await process.stdout.readuntil(after) if after else b""
        output, _ = await process.communicate(typed)
    return process.returncode, (greeting + output).decode("utf-8", "replace")


@pytest.mark.req("AP-01")
@pytest.mark.parametrize("implicit_tls", [True, False])
async def test_smtplib(house: Houses, tls: Tls, implicit_tls: bool) -> None:
    built = house()
    _, port = await built.submission(implicit_tls=implicit_tls)

    def send() -> dict[str, tuple[int, bytes]]:
        if implicit_tls:
            client: smtplib.SMTP = smtplib.SMTP_SSL("localhost", port, context=tls.client, timeout=60)
        else:
            client = smtplib.SMTP("localhost", port, timeout=60)
            client.starttls(context=tls.client)
        with client:
            client.login(USER, PASSWORD)
            return client.send_message(message())

    assert await asyncio.to_thread(send) == {}
    assert TEXT.replace("\n", "\r\n").encode() in the_message(built)
    (submission,) = built.flows.submissions
    assert isinstance(submission, Submission)
    assert submission.peer.tls


@pytest.mark.parametrize("implicit_tls", [True, False])
async def test_aiosmtplib(house: Houses, tls: Tls, implicit_tls: bool) -> None:
    built = house()
    _, port = await built.submission(implicit_tls=implicit_tls)
    errors, reply = await aiosmtplib.send(
        message(),
        hostname="localhost",
        port=port,
        username=USER,
        password=PASSWORD,
        use_tls=implicit_tls,
        start_tls=not implicit_tls,
        tls_context=tls.client,
    )
    assert errors == {}
    assert reply == "2.6.0 <1.2@alfa.example> accepted"
    assert TEXT.replace("\n", "\r\n").encode() in the_message(built)


@pytest.mark.parametrize("how", ["--tls", "--tlsc"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_swaks_submits(house: Houses, tls: Tls, how: str, mechanism: str) -> None:
    needs("swaks")
    built = house()
    _, port = await built.submission(implicit_tls=how == "--tlsc")
    code, output = await run(
        *("swaks", "--server", f"127.0.0.1:{port}", how, "--tls-ca-path", str(tls.certificate_file)),
        *("--auth", mechanism, "--auth-user", USER, "--auth-password", PASSWORD),
        *("--from", USER, "--to", "bruno@beta.example,carla@beta.example", "--body", ".una riga\n.\ncoi punti"),
    )
    assert code == 0, output
    assert "250 2.6.0 <1.2@alfa.example> accepted" in output
    assert built.flows.submissions[0].forward_paths == ("bruno@beta.example", "carla@beta.example")
    assert b"\r\n.una riga\r\n.\r\ncoi punti\r\n" in the_message(built)


async def test_swaks_is_told_of_a_wrong_password(house: Houses, tls: Tls) -> None:
    needs("swaks")
    built = house()
    _, port = await built.submission()
    code, output = await run(
        *("swaks", "--server", f"127.0.0.1:{port}", "--tls", "--auth", "PLAIN"),
        *("--auth-user", USER, "--auth-password", "wrong", "--from", USER, "--to", "bruno@beta.example"),
    )
    assert code == 28, output
    assert "535 5.7.8" in output


@pytest.mark.req("IP-10")
@pytest.mark.parametrize("options", [[], ["--tls"], ["--pipeline"], ["--tls", "--pipeline"]])
async def test_swaks_relays(house: Houses, options: list[str]) -> None:
    needs("swaks")
    built = house()
    _, port = await built.relay()
    code, output = await run(
        *("swaks", "--server", f"127.0.0.1:{port}", *options),
        *("--from", "someone@other.example", "--to", "anna@alfa.example", "--body", "text"),
    )
    assert code == 0, output
    (arrival,) = built.flows.arrivals
    assert arrival.forward_paths == ("anna@alfa.example",)
    assert arrival.peer.tls is ("--tls" in options)


@pytest.mark.req("SEC-02", "SEC-03")
@pytest.mark.parametrize("server", ["submission", "submissions", "smtp"])
async def test_openssl_gets_through_to_the_commands(house: Houses, tls: Tls, server: str) -> None:
    needs("openssl")
    built = house()
    if server == "smtp":
        _, port = await built.relay()
    else:
        _, port = await built.submission(implicit_tls=server == "submissions")
    starttls = [] if server == "submissions" else ["-starttls", "smtp"]
    code, output = await run(
        *("openssl", "s_client", "-connect", f"localhost:{port}", "-CAfile", str(tls.certificate_file), *starttls),
        *("-verify_return_error", "-crlf", "-quiet", "-ign_eof"),
        typed=b"EHLO client.example\nQUIT\n",
        after=b"220 mx.alfa.example" if server == "submissions" else b"",
    )
    assert "250-mx.alfa.example" in output, output
    assert "221 2.0.0 Goodbye" in output, output
    assert code == 0
