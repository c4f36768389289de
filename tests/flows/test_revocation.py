"""Revoked certificates: asked about ahead, known by every process, believed by no message, signed with by nobody."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path

import pytest

from gateway.drivers.guarded_signer import GuardedSigner
from gateway.drivers.http_client import FetchFailed
from gateway.flows.alarms import Alarms
from gateway.flows.certificate_paths import Paths, Question
from gateway.flows.inspection import StandingUnknown
from gateway.flows.outcomes import Taken
from gateway.flows.own_certificate import OwnCertificate
from gateway.flows.revocation_watch import RevocationSettings, RevocationWatch
from gateway.lab.authority import Authority, Issued
from gateway.storage import alarms as rows
from gateway.storage import downloads
from gateway.storage.engine import Storage
from providers.certificates import read_certificate
from providers.chains import Trust
from providers.directory import Directory, ProviderRecord, read_directory, write_ldif
from providers.revocation import Means
from providers.standing import Standing, Standings, Status
from receipts.errors import SigningUnavailable
from tests.flows.credentials import START, credential, rsa_key
from tests.flows.house import HandClock, Provider
from tests.flows.pens import Pen

LIST, ROOT_LIST, RESPONDER = "http://ca.example/email.crl", "http://ca.example/root.crl", "http://ocsp.example/"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BRUNO = "bruno@beta.example"


@cache
def authority() -> Authority:
    """Its e-mail CA can be revoked by the root."""
    made = Authority.create([("Alfa PEC", "alfa.example")], START - 30 * DAY)
    made.permit([("Alfa PEC", "alfa.example"), ("Beta PEC", "beta.example")], ROOT_LIST)
    return made


@cache
def issued(name: str, domain: str, crl_url: str | None = LIST, ocsp_url: str | None = None) -> Issued:
    address = f"posta-certificata@{domain}"
    return authority().provider_certificate(name, address, key=rsa_key(domain), crl_url=crl_url, ocsp_url=ocsp_url)


def alfa() -> Issued:
    return issued("Alfa PEC", "alfa.example")


def beta() -> Issued:
    return issued("Beta PEC", "beta.example")


def index(*certificates: Issued) -> Directory:
    records = [
        ProviderRecord(
            name=name,
            certificates=(each.der,),
            mail_receipt=f"posta-certificata@{domain}",
            managed_domains=frozenset({domain}),
        )
        for each, (name, domain) in zip(
            certificates, (("Alfa PEC", "alfa.example"), ("Beta PEC", "beta.example")), strict=False
        )
    ]
    return read_directory(write_ldif(records))


@dataclass
class World:
    """What authorities give out, by URL; what is not there cannot be reached."""

    gives: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def ask(self, question: Question) -> bytes:
        self.asked.append(question.source.url)
        try:
            return self.gives[question.source.url]
        except KeyError:
            raise FetchFailed("the server answered 503") from None

    def lists(self, *revoked: Issued, at: datetime, until: datetime | None = None) -> None:
        self.gives[LIST] = authority().revocation_list(revoked, at, until=until)
        self.gives.setdefault(
            ROOT_LIST, authority().revocation_list([], at, until=at + 30 * DAY, issuer=authority().root)
        )


class Node:
    """One process that watches. Alfa is the other provider, beta is our own."""

    def __init__(self, storage: Storage, world: World, clock: HandClock, *more: Issued) -> None:
        self.storage, self.clock = storage, clock
        self.index = lambda: index(*(more or (alfa(),)), beta())
        paths = Paths(
            lambda: self.index(),
            Trust((authority().root.der,)),
            (beta().der, authority().email_ca.der),
            lambda: (),
        )
        self.watch = RevocationWatch(
            storage=storage,
            paths=paths,
            ask=world.ask,
            bell=Alarms(storage, clock, place="node", provider="Beta PEC"),
            clock=clock,
            chance=lambda: 0.5,
            settings=RevocationSettings(period=6 * HOUR),
        )

    def status(self, of: Issued) -> Status:
        return self.watch.standings.of(read_certificate(of.der).sha256).at(self.clock.now())

    def alarms(self) -> list[str]:
        return [each.name for each in self.storage.read_now(rows.list_since) if each.over_at is None]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def node(sqlite_storage: Storage, world: World, clock: HandClock) -> Node:
    return Node(sqlite_storage, world, clock)


@pytest.mark.edge("E14")
async def test_a_revoked_certificate_is_known_once_the_list_says_so(node: Node, world: World, clock: HandClock) -> None:
    world.lists(at=START)
    await node.watch.look()
    assert (node.status(alfa()), node.status(beta())) == (Status.GOOD, Status.GOOD)
    assert sorted(world.asked) == [LIST, ROOT_LIST]  # once for both
    assert node.alarms() == []
    clock.pass_(hours=6)
    world.lists(alfa(), at=clock.now())
    await node.watch.look()
    assert (node.status(alfa()), node.status(beta())) == (Status.REVOKED, Status.GOOD)
    assert node.alarms() == ["certificate revoked"]


async def test_lists_are_fetched_when_they_are_due_and_not_before(node: Node, world: World, clock: HandClock) -> None:
    world.lists(at=START, until=START + 2 * HOUR)
    for _ in range(4 * 6):  # six hours; the lists of the root are good for a month
        await node.watch.look()
        clock.pass_(minutes=15)
        world.lists(at=clock.now(), until=clock.now() + 2 * HOUR)
    assert 5 <= world.asked.count(LIST) <= 8  # half of the time that each is good for
    assert world.asked.count(ROOT_LIST) == 2


async def test_every_process_knows_what_one_has_fetched(storage: Storage, world: World, clock: HandClock) -> None:
    world.lists(alfa(), at=START)
    nodes = [Node(storage, world, clock) for _ in range(3)]
    for node in nodes:
        await node.watch.look()
    assert sorted(world.asked) == [LIST, ROOT_LIST]
    assert [node.status(alfa()) for node in nodes] == [Status.REVOKED] * 3


async def test_an_authority_above_that_was_revoked_takes_all_with_it(node: Node, world: World) -> None:
    world.lists(at=START)
    world.gives[ROOT_LIST] = authority().revocation_list([authority().email_ca], START, issuer=authority().root)
    await node.watch.look()
    assert (node.status(alfa()), node.status(beta())) == (Status.REVOKED, Status.REVOKED)


async def test_without_an_answer_the_last_one_counts_until_it_ends_and_then_there_is_an_alarm(
    node: Node, world: World, clock: HandClock
) -> None:
    world.lists(at=START)
    await node.watch.look()
    world.gives.clear()
    clock.pass_(hours=23)
    await node.watch.look()
    assert node.status(alfa()) is Status.GOOD
    clock.pass_(hours=2)
    await node.watch.look()
    assert node.status(alfa()) is Status.UNKNOWN
    assert node.alarms() == ["revocation unknown"]
    world.lists(at=clock.now())
    clock.pass_(minutes=30)
    await node.watch.look()
    assert node.status(alfa()) is Status.GOOD
    assert node.alarms() == []


async def test_what_was_revoked_stays_so_when_nobody_answers_any_more(
    node: Node, world: World, clock: HandClock
) -> None:
    world.lists(alfa(), at=START)
    await node.watch.look()
    world.gives.clear()
    clock.pass_(days=40)
    await node.watch.look()
    assert node.status(alfa()) is Status.REVOKED


def _older(world: World, at: datetime) -> None:
    world.lists(at=START - HOUR, until=at + DAY)


def _ended(world: World, at: datetime) -> None:
    world.lists(at=START + HOUR, until=at - HOUR)


def _of_a_stranger(world: World, at: datetime) -> None:
    stranger = Authority.create([("Alfa PEC", "alfa.example")], START - DAY)
    world.gives[LIST] = stranger.revocation_list([], at)


def _nonsense(world: World, at: datetime) -> None:
    world.gives[LIST] = b"<html>"


@pytest.mark.parametrize("bad", [_older, _ended, _of_a_stranger, _nonsense])
async def test_a_list_that_is_not_to_be_believed_changes_nothing(
    node: Node, world: World, clock: HandClock, bad: Callable[[World, datetime], None]
) -> None:
    world.lists(alfa(), at=START)
    await node.watch.look()
    clock.pass_(hours=7)
    bad(world, clock.now())
    await node.watch.look()
    assert node.status(alfa()) is Status.REVOKED
    states = node.storage.read_now(downloads.states)
    assert [state.failures for state in states if state.url == LIST] == [1]


async def test_what_somebody_writes_into_the_database_is_judged_again(
    sqlite_storage: Storage, world: World, clock: HandClock
) -> None:
    world.lists(alfa(), at=START)
    await Node(sqlite_storage, world, clock).watch.look()
    [name] = [state.name for state in sqlite_storage.read_now(downloads.states) if state.url == LIST]
    forged = Authority.create([], START - DAY).revocation_list([], START)
    keep = partial(downloads.keep, name=name, data=forged, tag=None, at=START, next_at=START + DAY)
    sqlite_storage.write_now(keep)
    other = Node(sqlite_storage, world, clock)
    await other.watch.look()
    assert other.status(alfa()) is Status.UNKNOWN


async def test_a_certificate_that_names_no_place_is_believed_without_an_alarm(
    sqlite_storage: Storage, world: World, clock: HandClock
) -> None:
    world.lists(at=START)
    silent = issued("Alfa PEC", "alfa.example", None)
    node = Node(sqlite_storage, world, clock, silent)
    await node.watch.look()
    assert node.status(silent) is Status.GOOD  # the authority above it was asked about
    assert node.alarms() == []


async def test_only_certificates_below_our_trust_send_us_anywhere(
    sqlite_storage: Storage, world: World, clock: HandClock
) -> None:
    world.lists(at=START)
    stranger = Authority.create([("Alfa PEC", "alfa.example")], START - DAY).provider_certificate(
        "Alfa PEC", "posta-certificata@alfa.example", key=rsa_key("alfa.example"), crl_url="http://10.0.0.1/secret"
    )
    node = Node(sqlite_storage, world, clock, stranger)
    await node.watch.look()
    assert "http://10.0.0.1/secret" not in world.asked


async def test_who_left_the_index_is_asked_about_no_more(node: Node, world: World, clock: HandClock) -> None:
    world.lists(at=START)
    elsewhere = issued("Alfa PEC", "alfa.example", "http://elsewhere.example/crl")
    world.gives["http://elsewhere.example/crl"] = authority().revocation_list([], START)
    everybody, node.index = node.index, lambda: index(elsewhere, beta())
    await node.watch.look()
    node.index = everybody
    clock.pass_(days=8)
    world.lists(at=clock.now())
    await node.watch.look()
    assert {state.url for state in node.storage.read_now(downloads.states)} == {LIST, ROOT_LIST}


async def test_a_responder_is_asked_about_each_certificate(
    sqlite_storage: Storage, world: World, clock: HandClock
) -> None:
    node = Node(sqlite_storage, world, clock, issued("Alfa PEC", "alfa.example", None, RESPONDER))
    world.lists(at=START)
    await node.watch.look()
    names = [state.name for state in sqlite_storage.read_now(downloads.states)]
    assert [name.partition(":")[0] for name in names].count(Means.OCSP) == 1
    assert RESPONDER in world.asked


# What it means for mail


def standing(domain: str, status: Status) -> Callable[[], Standings]:
    known = {read_certificate(credential(domain).issued.der).sha256: Standing(status)}
    return lambda: Standings(known)


@pytest.mark.req("IP-03", "IP-13")
async def test_mail_that_a_revoked_certificate_signed_is_ordinary(beta_on_sqlite: Provider, pen: Pen) -> None:
    """Row B7: its origin is not proven, so it earns no receipt, and policy may refuse it."""
    beta_on_sqlite.standings = standing("alfa.example", Status.REVOKED)
    beta_on_sqlite.wire()
    assert await beta_on_sqlite.arrive(pen.envelope(pen.facts())) == Taken()
    [stored] = beta_on_sqlite.mailbox("bruno")
    assert stored.kind == "anomaly"
    assert beta_on_sqlite.outbox() == []
    [reception] = [row for row in beta_on_sqlite.register() if row.event == "reception"]
    assert "revocation: the certificate, or one above it, was revoked" in (reception.detail or "")


@pytest.mark.parametrize("status", [Status.GOOD, Status.UNSTATED, Status.UNKNOWN])
async def test_what_is_not_known_to_be_revoked_is_certified(beta_on_sqlite: Provider, pen: Pen, status: Status) -> None:
    beta_on_sqlite.standings = standing("alfa.example", status)
    beta_on_sqlite.wire()
    await beta_on_sqlite.arrive(pen.envelope(pen.facts()))
    [stored] = beta_on_sqlite.mailbox("bruno")
    assert stored.kind == "envelope"


async def test_who_wants_to_know_puts_off_what_a_provider_signed_and_nothing_else(
    beta_on_sqlite: Provider, pen: Pen
) -> None:
    beta_on_sqlite.standings = Standings
    beta_on_sqlite.waits_for_standing = True
    beta_on_sqlite.wire()
    with pytest.raises(StandingUnknown):
        await beta_on_sqlite.arrive(pen.envelope(pen.facts()))
    assert beta_on_sqlite.mailbox("bruno") == []
    stranger = b"From: x@mail.example\r\nTo: bruno@beta.example\r\nSubject: Ciao\r\n\r\nCiao\r\n"
    assert await beta_on_sqlite.arrive(stranger, BRUNO, reverse_path="x@mail.example") == Taken()
    beta_on_sqlite.standings = standing("alfa.example", Status.GOOD)
    beta_on_sqlite.wire()
    assert await beta_on_sqlite.arrive(pen.envelope(pen.facts())) == Taken()


class Own:
    """Our own certificate and the signer that it guards."""

    def __init__(self, storage: Storage, clock: HandClock) -> None:
        self.clock, self.storage = clock, storage
        self.standings = Standings()
        facts = read_certificate(credential("beta.example").issued.der)
        bell = Alarms(storage, clock, place="node", provider="Beta PEC")
        self.certificate = OwnCertificate(facts, lambda: self.standings, bell, clock, 30 * DAY)
        self.signer = GuardedSigner(credential("beta.example").signer, self.certificate.fault)
        self.end = facts.not_after

    def alarm(self) -> str | None:
        found = [each for each in self.storage.read_now(rows.list_since) if each.over_at is None]
        return found[0].detail if found else None


@pytest.fixture
def own(sqlite_storage: Storage, clock: HandClock) -> Own:
    return Own(sqlite_storage, clock)


async def test_the_end_of_our_certificate_is_told_ahead_and_after_it_nothing_is_signed(own: Own) -> None:
    await own.certificate.look()
    assert own.alarm() is None
    assert own.signer.sign(b"data")
    own.clock.at = own.end - 29 * DAY
    await own.certificate.look()
    assert "ends on" in (own.alarm() or "")
    assert own.signer.sign(b"data")
    own.clock.at = own.end + timedelta(seconds=1)
    with pytest.raises(SigningUnavailable, match="our certificate ended"):
        own.signer.sign(b"data")
    await own.certificate.look()
    assert "ended on" in (own.alarm() or "")


async def test_once_our_certificate_is_revoked_nothing_is_accepted(
    sqlite_storage: Storage, clock: HandClock, tmp_path: Path
) -> None:
    own = Own(sqlite_storage, clock)
    beta = Provider("beta.example", sqlite_storage, clock, signer=own.signer)
    from tests.flows.house import original

    mail = original(("carla@beta.example",), sender="bruno@beta.example")
    own.standings = standing("beta.example", Status.REVOKED)()
    with pytest.raises(SigningUnavailable, match="our certificate was revoked"):
        await beta.hand_in(mail, "carla@beta.example", sender="bruno")
    assert beta.outbox() == []
    assert beta.mailbox("bruno") == []
    await own.certificate.look()
    assert own.alarm() == "our certificate was revoked"
    own.standings = Standings()
    await beta.hand_in(mail, "carla@beta.example", sender="bruno")
    await own.certificate.look()
    assert own.alarm() is None
