"""The word to an ordinary mailbox that something has come: how often, of what, once, and nothing of what it says."""

import asyncio
from datetime import UTC, datetime, time, timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import cast

import pytest

from gateway.drivers.dkim_keys import DkimKeys
from gateway.drivers.dkim_signer import DkimSigner
from gateway.drivers.sources import RandomIds, legal_time
from gateway.flows.boxes import Boxes
from gateway.flows.digests import Digests, DigestSettings
from gateway.flows.letters import Writer
from gateway.flows.news import News
from gateway.flows.outcomes import Accepted, Taken
from gateway.points.box import Capacity
from gateway.points.boxes import Addition
from gateway.points.digests import About, Beat
from gateway.storage import digests, usage
from gateway.storage.digests import Subscription
from receipts.octets import Octets
from tests.drivers.mail_dkim import judged_by, perl_with_dkim
from tests.drivers.zone import Zone, serving
from tests.flows.credentials import ROME
from tests.flows.house import Network, Post, Provider, original
from tests.flows.pens import Pen

BRUNO = "bruno@beta.example"
OUTSIDE = "bruno@mail.example"
ALL = About.CERTIFIED | About.FAILURES | About.RECEIPTS | About.ORDINARY


def digests_of(provider: Provider, read_at: str | None = None) -> Digests:
    settings = DigestSettings(
        writer=Writer(name="Beta PEC", address=f"postmaster@{provider.domain}"),
        daily_at=time(8),
        read_at=read_at,
        lease=provider.receive_settings.lease,
        expiry=timedelta(days=5),
    )
    return Digests(provider.storage, provider.clock, provider.ids, provider.leaving.extend, settings)


def subscribe(
    provider: Provider, beat: Beat, about: About = About.CERTIFIED | About.FAILURES, *, name: str = "bruno"
) -> None:
    box = provider.people[name].mailbox_id
    provider.storage.write_now(lambda c: usage.set_notice_address(c, box, f"{name}@mail.example"))
    provider.storage.write_now(lambda c: digests.set_digest(c, box, Subscription(beat, about), provider.clock.now()))


def notices(provider: Provider) -> list[Post]:
    return [post for post in provider.outbox() if post.row.forward_path.endswith("@mail.example")]


def read(raw: bytes) -> EmailMessage:
    return cast(EmailMessage, BytesParser(policy=policy.default).parsebytes(raw))


async def envelope(provider: Provider, pen: Pen, number: int = 1, subject: str = "Perizia segreta") -> None:
    facts = pen.facts([BRUNO], pec_msgid=f"busta-{number}@alfa.example")
    raw = pen.envelope(facts, original([BRUNO], subject=subject))
    assert await provider.arrive(raw) == Taken()


def text(post: Post) -> str:
    return str(read(post.raw).get_content()).replace("\r\n", "\n")


def at(provider: Provider, wall: str) -> None:
    provider.clock.at = datetime.fromisoformat(wall).replace(tzinfo=ROME)


class TestImmediately:
    async def test_a_certified_message_is_told_without_anything_it_says(self, beta: Provider, pen: Pen) -> None:
        subscribe(beta, Beat.IMMEDIATELY)
        await envelope(beta, pen)
        assert await digests_of(beta, "https://posta.beta.example/").look() == 1
        [post] = notices(beta)
        assert (post.row.forward_path, post.row.reverse_path, post.row.certified) == (OUTSIDE, "", False)
        notice = read(post.raw)
        assert notice["Subject"] == "1 nuovo messaggio nella casella bruno@beta.example"
        assert notice["Auto-Submitted"] == "auto-generated"
        assert (notice["From"], notice["To"]) == ("Beta PEC <postmaster@beta.example>", OUTSIDE)
        assert "1 messaggio di posta certificata\n" in text(post)
        assert "https://posta.beta.example/" in text(post)
        for content in (b"Perizia", b"anna", b"alfa", b"busta-1"):
            assert content not in post.raw

    async def test_what_comes_at_once_is_told_together_and_at_most_once_a_minute(
        self, beta: Provider, pen: Pen
    ) -> None:
        subscribe(beta, Beat.IMMEDIATELY)
        teller = digests_of(beta)
        sent: list[int] = []
        for number in range(12):
            await envelope(beta, pen, number)
            sent.append(await teller.look())
            beta.clock.pass_(seconds=10)
        beta.clock.pass_(seconds=60)
        sent.append(await teller.look())
        assert sent == [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]
        told = [read(post.raw)["Subject"].split()[0] for post in notices(beta)]
        assert told == ["1", "6", "5"]

    async def test_it_leaves_at_once(self, beta: Provider, pen: Pen) -> None:
        subscribe(beta, Beat.IMMEDIATELY)
        await envelope(beta, pen)
        beta.leaving.clear()
        await digests_of(beta).look()
        assert [leased.row.forward_path for leased in beta.leaving] == [OUTSIDE]

    async def test_a_holder_reads_it_in_the_holders_language(self, beta: Provider, pen: Pen) -> None:
        subscribe(beta, Beat.IMMEDIATELY)
        account = beta.people["bruno"].id
        beta.storage.write_now(
            lambda c: c.exec_driver_sql(f"UPDATE accounts SET language = 'en' WHERE id = {account}") and None
        )
        await envelope(beta, pen)
        await digests_of(beta).look()
        notice = read(notices(beta)[0].raw)
        assert notice["Subject"] == "1 new message in the mailbox bruno@beta.example"
        assert "1 certified message\n" in text(notices(beta)[0])


class TestKinds:
    async def test_receipts_and_failures_are_told_to_those_who_want_them(self, network: Network) -> None:
        alfa, _ = network.providers
        subscribe(alfa, Beat.IMMEDIATELY, ALL, name="anna")
        subscribe(alfa, Beat.IMMEDIATELY, About.FAILURES, name="carla")
        for sender in ("anna", "carla"):
            to = (BRUNO, "nobody@beta.example")
            raw = original(to, sender=f"{sender}@alfa.example", msgid=f"<{sender}@client.example>")
            assert isinstance(await alfa.hand_in(raw, *to, sender=sender), Accepted)
        await network.carry()
        assert await digests_of(alfa).look() == 2
        by_address = {post.row.forward_path: text(post) for post in notices(alfa)}
        failure = "1 avviso di mancato invio o mancata consegna\n"
        assert failure in by_address["anna@mail.example"]
        assert "2 ricevute\n" in by_address["anna@mail.example"]
        assert failure in by_address["carla@mail.example"]
        assert "ricevut" not in by_address["carla@mail.example"]

    async def test_nothing_else_is_told(self, network: Network) -> None:
        """Neither what nobody asked for, nor the copy in Sent, nor what a program puts there, nor automatic mail."""
        alfa, _ = network.providers
        subscribe(alfa, Beat.IMMEDIATELY, About.CERTIFIED, name="anna")
        subscribe(alfa, Beat.IMMEDIATELY, About.ORDINARY, name="carla")
        assert isinstance(await alfa.hand_in(original()), Accepted)
        await network.carry()
        news = News(alfa.storage)
        boxes = Boxes(storage=alfa.storage, news=news, clock=alfa.clock, ids=RandomIds(), capacity=Capacity(None, 0))
        carla = await boxes(alfa.holder("carla"))
        await carla.append("INBOX", [Addition(message=Octets.of(b"Subject: x\r\n\r\nx\r\n"))])
        raw = original(["carla@alfa.example"], sender="x@mail.example")
        assert await alfa.arrive(raw, "carla@alfa.example", reverse_path="") == Taken()
        assert await digests_of(alfa).look() == 0

    async def test_ordinary_mail_is_told_to_those_who_want_it(self, beta: Provider) -> None:
        subscribe(beta, Beat.IMMEDIATELY, ALL)
        raw = original([BRUNO], sender="x@mail.example")
        assert await beta.arrive(raw, BRUNO, reverse_path="x@mail.example") == Taken()
        assert await digests_of(beta).look() == 1
        assert "1 messaggio ordinario\n" in text(notices(beta)[0])

    async def test_who_wants_nothing_is_not_counted(self, beta: Provider, pen: Pen) -> None:
        box = beta.people["bruno"].mailbox_id
        subscribe(beta, Beat.IMMEDIATELY)
        beta.storage.write_now(lambda c: digests.set_digest(c, box, None, beta.clock.now()))
        await envelope(beta, pen)
        assert await digests_of(beta).look() == 0
        assert notices(beta) == []

    async def test_what_came_before_is_not_told(self, beta: Provider, pen: Pen) -> None:
        await envelope(beta, pen)
        subscribe(beta, Beat.IMMEDIATELY)
        assert await digests_of(beta).look() == 0

    async def test_without_an_address_it_is_forgotten(self, beta: Provider, pen: Pen) -> None:
        subscribe(beta, Beat.IMMEDIATELY)
        await envelope(beta, pen)
        box = beta.people["bruno"].mailbox_id
        beta.storage.write_now(lambda c: usage.set_notice_address(c, box, None))
        assert await digests_of(beta).look() == 0
        assert beta.storage.read_now(lambda c: digests.waiting(c, beta.clock.now())) == []


class TestDigest:
    async def told(self, provider: Provider, hours: int) -> list[str]:
        """The instants, in UTC, at which notices left while the clock ran on."""
        teller, sent = digests_of(provider), list[str]()
        for _ in range(hours * 4):
            if await teller.look():
                sent.append(f"{provider.clock.now().astimezone(UTC):%d %H:%M}")
            provider.clock.pass_(minutes=15)
        return sent

    async def test_an_hourly_digest_leaves_on_the_hour(self, beta: Provider, pen: Pen) -> None:
        at(beta, "2026-03-02 09:10")
        subscribe(beta, Beat.HOURLY)
        await envelope(beta, pen, 1)
        await envelope(beta, pen, 2)
        assert await self.told(beta, 3) == ["02 09:10"]
        assert "2 messaggi di posta certificata" in text(notices(beta)[0])

    @pytest.mark.parametrize(
        ("begin", "left"),
        [
            ("2026-03-02 09:00", ["03 07:00"]),
            ("2026-03-28 09:00", ["29 06:00"]),  # the night is an hour shorter
            ("2026-10-24 09:00", ["25 07:00"]),  # and an hour longer
        ],
    )
    async def test_a_daily_digest_leaves_at_its_hour_by_the_wall_clock(
        self, beta: Provider, pen: Pen, begin: str, left: list[str]
    ) -> None:
        at(beta, begin)
        subscribe(beta, Beat.DAILY)
        facts = pen.facts([BRUNO], at=beta.clock.now())
        assert await beta.arrive(pen.envelope(facts)) == Taken()
        assert await self.told(beta, 49) == left

    async def test_a_node_that_was_down_tells_it_when_it_comes_back(self, beta: Provider, pen: Pen) -> None:
        subscribe(beta, Beat.DAILY)
        await envelope(beta, pen)
        assert await digests_of(beta).look() == 0
        beta.clock.pass_(days=3)
        assert [await digests_of(beta).look() for _ in range(3)] == [1, 0, 0]


class TestOnce:
    async def test_of_many_nodes_one_tells(self, beta: Provider, pen: Pen) -> None:
        subscribe(beta, Beat.IMMEDIATELY)
        await envelope(beta, pen)
        nodes = [digests_of(beta) for _ in range(5)]
        assert sum(await asyncio.gather(*(node.look() for node in nodes))) == 1
        assert len(notices(beta)) == 1

    async def test_what_comes_while_a_notice_is_written_is_told_too(self, beta: Provider, pen: Pen) -> None:
        subscribe(beta, Beat.IMMEDIATELY)
        await envelope(beta, pen, 1)
        [seen] = beta.storage.read_now(lambda c: digests.waiting(c, beta.clock.now()))
        await envelope(beta, pen, 2)
        assert not await digests_of(beta)._treat(seen, beta.clock.now())
        assert await digests_of(beta).look() == 1
        assert "2 messaggi" in text(notices(beta)[0])

    async def test_it_is_told_again_if_it_could_not_be_kept(
        self, beta: Provider, pen: Pen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        subscribe(beta, Beat.IMMEDIATELY)
        await envelope(beta, pen)
        with monkeypatch.context() as broken:
            broken.setattr("gateway.flows.effects.outbox.enqueue", _fail)
            with pytest.raises(RuntimeError):
                await digests_of(beta).look()
        assert notices(beta) == []
        assert await digests_of(beta).look() == 1


def _fail(*_: object, **__: object) -> None:
    raise RuntimeError("the disk is gone")


async def test_a_notice_is_signed_so_that_others_believe_it(network: Network, pen: Pen, tmp_path: Path) -> None:
    perl = perl_with_dkim()
    _, beta = network.providers
    keys = DkimKeys(tmp_path)
    keys.make("beta.example", "s1")
    key = keys.current("beta.example")
    assert key is not None
    network.sign = DkimSigner(keys)
    subscribe(beta, Beat.IMMEDIATELY)
    beta.clock.at = legal_time(datetime.now(UTC), ROME)
    facts = pen.facts([BRUNO], at=beta.clock.now())
    assert await beta.arrive(pen.envelope(facts)) == Taken()
    assert await digests_of(beta).look() == 1
    await network.carry()
    [notice] = [one for one in network.ordinary if one.forward_paths == (OUTSIDE,)]
    raw = notice.message.read()
    async with serving(Zone({f"{key.record_name} TXT": [key.record]})) as port:
        assert await judged_by(perl, port, raw) == "pass"
        assert (await judged_by(perl, port, raw.replace(b"1 nuovo", b"2 nuovo"))).startswith("fail")
