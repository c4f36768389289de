"""A message is kept once on each side, however many envelopes, copies and receipts hold it (D26)."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, func, select

from gateway.flows.outcomes import Accepted
from gateway.flows.sharing_sink import SharingSink
from gateway.storage import certified, content
from gateway.storage.engine import Storage
from gateway.storage.purge import START, Position, purge_unreferenced
from gateway.storage.sink import ContentSink
from gateway.storage.tables import bodies, chunk_sets, content_chunks, contents
from receipts.octets import Octets
from receipts.wire import ReceiptForm
from tests.flows.house import Network, Provider, original
from tests.flows.pens import Pen

BRUNO, CARLA, OWN = "bruno@beta.example", "carla@beta.example", "carla@alfa.example"
SMALL = b"".join(b"%08d una riga che vale una sola volta\r\n" % number for number in range(5_000))  # 215 kB
LARGE = b"".join(b"%08d una riga che vale una sola volta\r\n" % number for number in range(60_000))  # 2.6 MB


def kept(storage: Storage) -> int:
    """Bytes in the database: literals of bodies, and contents."""

    def look(connection: Connection) -> int:
        sums = (
            select(func.coalesce(func.sum(func.length(column)), 0))
            for column in (bodies.c.parts, contents.c.data, content_chunks.c.data)
        )
        return sum(int(connection.execute(one).scalar_one()) for one in sums)

    return storage.read_now(look)


def purge(provider: Provider) -> None:
    """Remove what nobody refers to, a day later."""
    provider.clock.pass_(days=2)
    position: Position | None = START
    while position is not None:
        done = provider.storage.write_now(
            lambda connection, position=position: purge_unreferenced(connection, provider.clock.at, position)  # type: ignore[misc]
        )
        position = done.next


async def streamed(provider: Provider, raw: bytes) -> Octets:
    """A message as a server hands it over: what is large is in the database already."""
    if len(raw) <= 1_000_000:
        return Octets.of(raw)
    sink = ContentSink(provider.storage, provider.clock.now)
    await sink.write(raw)
    return Octets.whole(await sink.finish())


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
async def test_the_sender_s_side_keeps_one_copy(network: Network, body: bytes) -> None:
    alfa, beta = network.providers
    to = (BRUNO, CARLA, "anna@beta.example")
    raw = original(to, body=body)
    outcome = await alfa.hand_in(await streamed(alfa, raw), *to)
    assert isinstance(outcome, Accepted)
    await network.carry()
    assert alfa.kinds("anna").count("delivery") == 3
    complete = [stored for stored in alfa.mailbox("anna") if stored.kind == "delivery"]
    assert all((stored.certified.original or b"").endswith(body) for stored in complete)
    purge(alfa)
    assert kept(alfa.storage) < len(body) * 1.02 + 80_000
    assert [stored.raw for stored in alfa.mailbox("anna") if stored.kind == "sent"] == [raw]
    assert [stored.raw for stored in alfa.mailbox("anna") if stored.kind == "delivery"] == [
        stored.raw for stored in complete
    ]
    assert beta.kinds("bruno") == ["envelope"]


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
async def test_the_recipient_s_side_keeps_one_copy(beta: Provider, pen: Pen, body: bytes) -> None:
    to = (BRUNO, CARLA, "anna@beta.example")
    raw = pen.envelope(pen.facts(to), original(to, body=body))
    await beta.arrive(await streamed(beta, raw), *to)
    purge(beta)
    assert kept(beta.storage) < len(body) * 1.02 + 80_000
    assert beta.mailbox("bruno")[0].raw.endswith(raw)
    deliveries = [post for post in beta.outbox() if post.row.kind == "delivery"]
    assert len(deliveries) == 3
    assert all((post.certified.original or b"").endswith(body) for post in deliveries)


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
async def test_within_one_provider_all_share_one_copy(network: Network, body: bytes) -> None:
    alfa, _ = network.providers
    to = (OWN, "bruno@alfa.example")
    await alfa.hand_in(await streamed(alfa, original(to, body=body)), *to)
    await network.carry()
    assert alfa.kinds("carla") == alfa.kinds("bruno") == ["envelope"]
    assert alfa.kinds("anna").count("delivery") == 2
    purge(alfa)
    assert kept(alfa.storage) < len(body) * 1.02 + 80_000


async def test_a_receipt_with_another_original_shares_nothing_and_loses_nothing(alfa: Provider) -> None:
    outcome = await alfa.hand_in(await streamed(alfa, original(body=LARGE)))
    pen = Pen("beta.example")
    data = pen.facts([BRUNO], sender="anna@alfa.example", pec_msgid=outcome.pec_msgid)
    other = original(body=LARGE[:-4] + b"X\r\n")
    raw = pen.delivery(data, BRUNO, form=ReceiptForm.COMPLETE, inside=other)
    await alfa.arrive(await streamed(alfa, raw), "anna@alfa.example", reverse_path=pen.service_address)
    purge(alfa)
    assert alfa.mailbox("anna")[-1].raw.endswith(raw)


async def arriving(provider: Provider, raw: bytes, portion: int) -> Octets:
    """A message as the relay port hands it over: its first portion holds what fits into memory."""
    sink = SharingSink(provider.storage, provider.clock.now)
    await sink.write(raw[:1_100_000])
    for at in range(1_100_000, len(raw), portion):
        await sink.write(raw[at : at + portion])
    return await sink.finish()


async def receipt_of_ours(alfa: Provider, change: Callable[[bytes], bytes] = bytes) -> bytes:
    """A complete receipt about a large message of anna's, with an original that was changed on the way."""
    outcome = await alfa.hand_in(await streamed(alfa, original(body=LARGE)))
    pen = Pen("beta.example")
    data = pen.facts([BRUNO], sender="anna@alfa.example", pec_msgid=outcome.pec_msgid)
    body_id = alfa.storage.read_now(lambda c: certified.original_of(c, outcome.pec_msgid))
    assert body_id is not None
    sealed = alfa.storage.read_now(lambda c: content.load(c, body_id)).read()
    return pen.delivery(data, BRUNO, form=ReceiptForm.COMPLETE, inside=change(sealed))


@pytest.mark.parametrize("portion", [1_000, 65_536, 999_999])
async def test_a_receipt_is_never_kept_twice_not_even_for_a_day(alfa: Provider, portion: int) -> None:
    raw = await receipt_of_ours(alfa)
    before = kept(alfa.storage)
    message = await arriving(alfa, raw, portion)
    assert kept(alfa.storage) == before
    await alfa.arrive(message, "anna@alfa.example", reverse_path=Pen("beta.example").service_address)
    assert alfa.mailbox("anna")[-1].raw.endswith(raw)
    assert kept(alfa.storage) - before < 60_000


@pytest.mark.parametrize(
    "change",
    [
        lambda sealed: sealed[:-4] + b"X\r\n",
        lambda sealed: sealed.replace(b"00000000 una", b"00000000 Una"),
        lambda sealed: sealed.replace(b"00030000 una", b"00030000 Una"),
        lambda sealed: sealed[: len(sealed) // 2],
        lambda sealed: sealed[:1_500_000],
        lambda sealed: sealed + b"e poi\r\n",
        lambda sealed: sealed + LARGE,
        lambda sealed: sealed.replace(b"Message-ID: <", b"Message-ID: <x", 1),
        lambda sealed: sealed.replace(b"Message-ID: ", b"X-Altro: ", 1),
    ],
    ids=["last byte", "first line", "middle", "half", "within the first", "more", "much more", "unknown", "unnamed"],
)
async def test_what_differs_comes_in_as_it_is(alfa: Provider, change: Callable[[bytes], bytes]) -> None:
    raw = await receipt_of_ours(alfa, change)
    message = await arriving(alfa, raw, 50_000)
    assert message.read() == raw
    await alfa.arrive(message, "anna@alfa.example", reverse_path=Pen("beta.example").service_address)
    assert alfa.mailbox("anna")[-1].raw.endswith(raw)


async def test_what_is_no_receipt_is_not_looked_into(alfa: Provider) -> None:
    raw = (await receipt_of_ours(alfa)).replace(b"X-Ricevuta: ", b"X-Altro: ")
    assert len((await arriving(alfa, raw, 50_000)).parts) == 1


async def test_a_large_envelope_is_never_loaded_whole(beta: Provider, pen: Pen) -> None:
    """What leaves is still made of pieces in the database."""
    raw = pen.envelope(raw=original(body=LARGE))
    await beta.arrive(await streamed(beta, raw))
    for leased in beta.leaving:
        literal = sum(len(part) for part in leased.message.parts if isinstance(part, bytes))
        assert literal < 30_000
    rows = beta.storage.read_now(lambda connection: connection.execute(select(chunk_sets.c.id)).all())
    assert len(rows) == 1
    assert len(raw) > content.LOADED_WHOLE
