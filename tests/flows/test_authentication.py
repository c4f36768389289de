"""The origin of ordinary mail, from the socket's peer to what the holder reads."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dkim
import pytest

from gateway.drivers.dkim_keys import DkimKeys
from gateway.drivers.dkim_signer import DkimSigner, dkim_signature
from gateway.drivers.dns import NameServers
from gateway.flows.authenticate import Authenticate
from gateway.flows.outcomes import Taken
from gateway.points.ordinary import Ordinary
from gateway.storage.engine import Storage
from receipts.octets import Octets
from receipts.scanner import scan_header
from tests.drivers.zone import Zone, serving
from tests.flows.house import SERVER, Network, Provider, original
from tests.flows.pens import Pen

STRANGER = "x@mail.example"
RAW = original(sender=STRANGER)
AT = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
SPF = {"mail.example TXT": ["v=spf1 ip4:192.0.2.25 -all"], "_dmarc.mail.example TXT": ["v=DMARC1; p=reject"]}


@pytest.fixture
def storage(sqlite_storage: Storage) -> Storage:
    """No database has a part in this."""
    return sqlite_storage


def asking(provider: Provider, dns: Zone | NameServers, seconds: float = 10) -> None:
    provider.authenticate = Authenticate(dns, authserv_id=provider.domain, seconds=seconds)
    provider.wire()


def signed(raw: bytes, folder: Path) -> tuple[bytes, dict[str, list[str]]]:
    """The message with a signature of its own domain, and what that publishes."""
    key = DkimKeys(folder).make("mail.example", "s1")
    message = Octets.of(raw)
    field = dkim_signature(message, scan_header(message), key, AT)
    return field + raw, {f"{key.record_name} TXT": [key.record]}


async def test_verdicts_stand_on_top_of_the_message_and_in_the_text(beta: Provider, tmp_path: Path) -> None:
    """Over a real socket to a name server on loopback."""
    raw, records = signed(RAW, tmp_path)
    async with serving(Zone({**SPF, **records})) as port:
        asking(beta, NameServers([("127.0.0.1", port)]))
        assert await beta.arrive(raw, reverse_path=STRANGER) == Taken()
    [stored] = beta.mailbox("bruno")
    inside = stored.certified.original or b""
    assert inside.startswith(
        b"Authentication-Results: beta.example;\r\n spf=pass smtp.mailfrom=mail.example;\r\n"
        b" dkim=pass header.d=mail.example header.s=s1;\r\n dmarc=pass (p=reject) header.from=mail.example\r\n"
        b"Received: "
    )
    assert inside.endswith(raw)
    text = " ".join(stored.certified.text.split())
    assert "Verifica del mittente: SPF superata [mail.example]; DKIM superata [mail.example]" in text
    assert "Sender checks: SPF passed [mail.example]; DKIM passed [mail.example]" in text
    assert "dati non sono stati certificati" in text
    assert "Firma non presente o non autentica" in text


async def test_a_forger_is_shown_as_one_and_refused_by_nobody(beta: Provider) -> None:
    asking(beta, Zone(SPF))
    forger = replace(SERVER, address="198.51.100.7")
    assert await beta.arrive(RAW, reverse_path=STRANGER, peer=forger) == Taken()
    [stored] = beta.mailbox("bruno")
    assert b"spf=fail smtp.mailfrom=mail.example;\r\n dkim=none;\r\n dmarc=fail (p=reject)" in stored.raw
    assert "DMARC non superata [mail.example, p=reject]" in " ".join(stored.certified.text.split())


@pytest.mark.parametrize("checked", [True, False])
async def test_verdicts_that_others_wrote_in_our_name_are_taken_out(beta: Provider, checked: bool) -> None:
    """Those of other hosts stay; so does every other byte."""
    if checked:
        asking(beta, Zone({}))
    forged = "Authentication-Results: BETA.example;\r\n dmarc=pass header.from=mail.example\r\n"
    other = "Authentication-Results: mx.mail.example; spf=none\r\n"
    raw = (forged + other).encode() + RAW.replace(b"Subject", forged.encode() + b"Subject", 1)
    await beta.arrive(raw, reverse_path=STRANGER)
    inside = beta.mailbox("bruno")[0].certified.original or b""
    assert inside.endswith(other.encode() + RAW)
    assert b"dmarc=pass" not in inside
    assert inside.count(b"Authentication-Results: beta.example;") == checked


async def test_certified_mail_never_waits_for_the_dns(beta: Provider, pen: Pen) -> None:
    dns = Zone({})
    asking(beta, dns)
    data = pen.facts()
    await beta.arrive(pen.envelope(data))
    await beta.arrive(pen.envelope(pen.facts(["carla@beta.example"])), "bruno@beta.example")  # wrapped, but sealed
    await beta.arrive(pen.acceptance(data), reverse_path="posta-certificata@alfa.example")
    assert len(beta.mailbox("bruno")) == 3
    assert dns.asked == []
    assert not any(b"Authentication-Results" in stored.raw for stored in beta.mailbox("bruno"))


async def test_nobody_is_asked_about_what_is_refused(beta: Provider) -> None:
    dns = Zone({})
    beta.receive_settings = replace(beta.receive_settings, ordinary_mail=Ordinary.REFUSE)
    asking(beta, dns)
    await beta.arrive(RAW, reverse_path=STRANGER)
    assert dns.asked == []


async def test_nobody_is_asked_about_our_own_word(network: Network) -> None:
    alfa = network.providers[0]
    dns = Zone({})
    asking(alfa, dns)
    network.refused = {"nobody@mail.example"}
    await alfa.hand_in(original(["nobody@mail.example"]), "nobody@mail.example")
    await network.carry()
    assert alfa.kinds("anna")[-1] == "anomaly"
    assert dns.asked == []


async def test_a_dns_that_fails_is_a_temporary_error_and_no_refusal(beta: Provider) -> None:
    asking(beta, Zone({}, broken=frozenset({"mail.example", "_dmarc.mail.example"})))
    assert await beta.arrive(RAW, reverse_path=STRANGER) == Taken()
    [stored] = beta.mailbox("bruno")
    assert b"spf=temperror smtp.mailfrom=mail.example;\r\n dkim=none;\r\n dmarc=temperror" in stored.raw
    assert "SPF non eseguita (DNS non disponibile)" in " ".join(stored.certified.text.split())


async def test_a_dns_that_is_silent_costs_a_bounded_time(beta: Provider) -> None:
    class Silent(Zone):
        async def texts(self, name: str) -> list[bytes]:
            await asyncio.Event().wait()
            return []

    asking(beta, Silent({}), seconds=0.05)
    assert await beta.arrive(RAW, reverse_path=STRANGER) == Taken()
    assert b"spf=temperror;\r\n dkim=temperror;\r\n dmarc=temperror" in beta.mailbox("bruno")[0].raw


async def test_a_fault_of_ours_keeps_no_mail_out(beta: Provider, caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Zone):
        async def texts(self, name: str) -> list[bytes]:
            raise ZeroDivisionError

    asking(beta, Faulty({}))
    assert await beta.arrive(RAW, reverse_path=STRANGER) == Taken()
    assert "could not be looked into" in caplog.text


async def test_a_bounce_is_judged_by_the_name_of_its_host(beta: Provider) -> None:
    asking(beta, Zone({"mx.example TXT": ["v=spf1 ip4:192.0.2.25 -all"]}))
    await beta.arrive(original(sender="mailer-daemon@mail.example"), reverse_path="")
    assert b"spf=pass smtp.helo=mx.example" in beta.mailbox("bruno")[0].raw


async def test_what_leaves_for_ordinary_servers_is_signed_and_nothing_else(network: Network, tmp_path: Path) -> None:
    """The seal inside stays byte for byte; certified mail goes as it was sealed."""
    alfa = network.providers[0]
    keys = DkimKeys(tmp_path)
    key = keys.make("alfa.example", "s1")
    network.sign = DkimSigner(keys)
    to = ["bruno@beta.example", "x@mail.example", "y@mail.example", "z@other.example"]
    await alfa.hand_in(original(to), *to)
    [envelope] = {post.raw for post in alfa.outbox() if post.row.kind == "envelope"}
    await network.carry()
    assert {domain for domain, _ in network.transactions} >= {"beta.example", "mail.example", "other.example"}
    for domain, outgoing in network.transactions:
        raw = outgoing.message.read()
        assert raw.startswith(b"DKIM-Signature: ") is (domain in ("mail.example", "other.example"))
    for outgoing in network.ordinary:
        raw = outgoing.message.read()
        assert raw.endswith(envelope)
        assert dkim.verify(raw, dnsfunc=lambda *_, **__: key.record.encode())


@pytest.mark.parametrize("author", ["x@mail.example, y@other.example", "nobody"])
async def test_without_one_author_there_is_no_dmarc(beta: Provider, author: str) -> None:
    asking(beta, Zone(SPF))
    await beta.arrive(original(sender=author), reverse_path=STRANGER)
    assert b"dmarc=none\r\n" in beta.mailbox("bruno")[0].raw
