"""aioimaplib: what one session does, another that idles hears within a second."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import aioimaplib

from tests.clients.places import Box

TRIES = 5
"""The best of so many counts: the machine may be busy for a moment, but not each time."""


@contextlib.asynccontextmanager
async def session(box: Box) -> AsyncIterator[aioimaplib.IMAP4_SSL]:
    context = ssl.create_default_context(cafile=str(box.ca_file))
    client = aioimaplib.IMAP4_SSL("localhost", box.imaps, timeout=60, ssl_context=context)
    await client.wait_hello_from_server()
    assert (await client.login(box.user, box.password)).result == "OK"
    assert (await client.select("INBOX")).result == "OK"
    yield client
    assert (await client.logout()).result == "OK"


async def heard(client: aioimaplib.IMAP4_SSL, wanted: bytes) -> float:
    """Seconds until an idling session hears this."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(60):
        while True:
            lines = await client.wait_server_push()
            if any(wanted in line for line in lines if isinstance(line, bytes | bytearray)):
                return loop.time() - began


async def test_an_idling_session_hears_of_others(box: Box) -> None:
    async with session(box) as listening, session(box) as acting:
        idle = await listening.idle_start(timeout=600)
        took = []
        for _ in range(TRIES):
            assert (await acting.append(b"Subject: neu\r\n\r\nx\r\n", "INBOX")).result == "OK"
            came = await heard(listening, b"1 EXISTS")
            await acting.noop()
            assert (await acting.store("1", "+FLAGS", "(\\Flagged)")).result == "OK"
            flagged = await heard(listening, b"\\Flagged")
            await acting.store("1", "+FLAGS", "(\\Deleted)")
            await acting.expunge()
            took.append((came, flagged, await heard(listening, b"1 EXPUNGE")))
        assert max(map(min, zip(*took, strict=True))) < 1
        listening.idle_done()
        await asyncio.wait_for(idle, 60)


async def test_what_the_library_knows_of_the_protocol(box: Box) -> None:
    async with session(box) as client:
        for number in range(3):
            await client.append(b"Subject: n%d\r\nFrom: a@b.example\r\n\r\nx\r\n" % number, "INBOX", flags="\\Seen")
        await client.noop()
        assert (await client.uid_search("SUBJECT n1")).lines[0].split() != []
        assert (await client.move("1:1", "Sent")).result == "OK"
        found = await client.fetch("1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        assert sum(b"Subject: n" in bytes(line) for line in found.lines) == 2
        assert (await client.status("Sent", "(MESSAGES)")).lines[0].endswith(b"(MESSAGES 1)")
