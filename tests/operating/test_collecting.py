"""``ceralacca account collect`` with a provider that runs: what another server has comes here by itself."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from gateway.drivers.imap_client import ImapAccount, signed_in
from tests import dovecot
from tests.dovecot import Dovecot
from tests.lab.waiting import until
from tests.operating.providers import Provider

MAIL = b"Message-ID: <vecchia@altrove.example>\r\nSubject: vecchia\r\n\r\nciao\r\n"


def test_a_box_at_another_provider_is_collected_from(alfa: Provider, tmp_path: Path) -> None:
    dovecot.require()
    with dovecot.running() as server:
        asyncio.run(_arrives(server))
        anna, password = alfa.account("anna").address, tmp_path / "password"
        password.write_text(f"{dovecot.PASSWORD}\n")
        password.chmod(0o600)
        place = ("--imap", f"localhost:{server.imaps}", "--user", "anna", "--ca-file", str(server.tls.certificate))
        place = (*place, "--password-file", str(password), "--every", "5")
        said = alfa.said_by("account collect", anna, *place, "--deletions", "trash")
        every = f"anna@localhost:{server.imaps}, every 5 minutes"
        assert said == f"{every}, what is deleted there goes to the trash\n  not yet begun\n"
        assert alfa.said_by("account collect", anna, *place) == f"{every}\n  not yet begun\n"
        with alfa.serving():
            until(lambda: "1 copied; 0 here before" in alfa.said_by("account collect", anna), "a good run")
            assert [each for each in alfa.mailbox("anna").raw() if b"vecchia@altrove.example" in each] != []
        assert alfa.said_by("account collect", anna, "--stop") == f"{anna}: nothing is collected\n"


async def _arrives(server: Dovecot) -> None:
    account = ImapAccount(
        host=server.host,
        port=server.imaps,
        user="anna",
        password=dovecot.PASSWORD,
        context=server.tls.client(),
    )
    async with signed_in(account) as remote:
        await remote.append("INBOX", MAIL, (), datetime(2020, 1, 1, tzinfo=UTC))
