"""The client of clamd: against the real one, and against peers that misbehave."""

import asyncio
import contextlib
import signal
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.drivers.antivirus import IN_MEMORY, Clamd, ScannerUnavailable
from gateway.lab.clamd import ClamdProcess
from gateway.lab.ports import FreePorts
from gateway.points.screening import Look, Verdict
from receipts.octets import EMPTY, InMemory, Octets, Span
from tests.scanner import EICAR, FOUND, attached, encrypted_zip, running, start, zipped

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(peer: Peer, *, seconds: float = 60) -> AsyncIterator[Clamd]:
    """A client of ``peer``, over TCP, which waits so long."""
    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    async with server:
        yield Clamd(("127.0.0.1", server.sockets[0].getsockname()[1]), timeout_seconds=seconds)
        server.close()


def octets(data: bytes) -> Octets:
    return Octets.whole(InMemory.of(data))


class TestRealClamd:
    @pytest.mark.parametrize("size", [0, 1, 300_000, 1_500_000])
    async def test_what_is_clean_is_clean_whatever_its_size(self, clamd: ClamdProcess, size: int) -> None:
        client = Clamd(clamd.socket, timeout_seconds=60)
        assert await client.scan(octets(b"x" * size) if size else EMPTY) == Verdict(Look.CLEAN)

    @pytest.mark.parametrize(
        "before", [0, 200_000, IN_MEMORY + 300_000], ids=["at once", "in pieces", "fetched in pieces"]
    )
    async def test_a_virus_is_found_by_its_name_wherever_it_stands(self, clamd: ClamdProcess, before: int) -> None:
        client = Clamd(clamd.socket, timeout_seconds=60)
        files = (("a.bin", bytes(range(256)) * (before // 256)), ("a.zip", zipped("b.com", EICAR)))
        assert await client.scan(octets(attached(*files))) == Verdict(Look.INFECTED, FOUND)

    async def test_a_rope_is_scanned_as_one_message(self, clamd: ClamdProcess) -> None:
        client = Clamd(clamd.socket, timeout_seconds=60)
        raw = attached(("tabella.com", EICAR))
        source = InMemory.of(raw)
        rope = Octets.of(raw[:100], *(Span(source, at, min(at + 50, len(raw))) for at in range(100, len(raw), 50)))
        assert await client.scan(rope) == Verdict(Look.INFECTED, FOUND)

    async def test_what_is_encrypted_is_no_virus(self, clamd: ClamdProcess) -> None:
        client = Clamd(clamd.socket, timeout_seconds=60)
        found = await client.scan(octets(attached(("s.zip", encrypted_zip()))))
        assert found == Verdict(Look.ENCRYPTED, "Heuristics.Encrypted.Zip")

    async def test_it_says_who_it_is(self, clamd: ClamdProcess) -> None:
        assert (await Clamd(clamd.socket, timeout_seconds=60).version()).startswith("ClamAV ")

    async def test_many_at_once_each_get_their_own_verdict(self, clamd: ClamdProcess) -> None:
        client = Clamd(clamd.socket, timeout_seconds=60)
        infected, clean = octets(attached(("a.com", EICAR))), octets(attached(("a.txt", b"ciao")))
        found = await asyncio.gather(*(client.scan(infected if n % 3 == 0 else clean) for n in range(60)))
        assert [verdict.look is Look.INFECTED for verdict in found] == [n % 3 == 0 for n in range(60)]

    async def test_it_is_reached_over_tcp_too(self, tmp_path: Path) -> None:
        free = FreePorts(set())
        port = free.take()
        free.release()
        options = ("TCPAddr 127.0.0.1", f"TCPSocket {port}")
        with running(tmp_path / "av", *options):
            client = Clamd(("localhost", port), timeout_seconds=60)
            assert await client.scan(octets(EICAR)) == Verdict(Look.INFECTED, FOUND)

    async def test_more_than_it_takes_and_more_than_it_looks_through_are_doubts(self, tmp_path: Path) -> None:
        with running(tmp_path / "av", "StreamMaxLength 1M", "MaxRecursion 4") as process:
            client = Clamd(process.socket, timeout_seconds=60)
            too_large = await client.scan(octets(b"x" * 8_000_000))
            assert too_large == Verdict(Look.INCOMPLETE, "INSTREAM size limit exceeded")
            deep = EICAR
            for level in range(10):
                deep = zipped(f"{level}.zip", deep)
            too_deep = await client.scan(octets(attached(("a.zip", deep))))
            assert too_deep == Verdict(Look.INCOMPLETE, "Heuristics.Limits.Exceeded.MaxRecursion")
            small = await client.scan(octets(attached(("a.com", EICAR))))
            assert small == Verdict(Look.INFECTED, FOUND)

    async def test_it_may_be_killed_and_come_back(self, tmp_path: Path) -> None:
        with running(tmp_path / "av") as process:
            client = Clamd(process.socket, timeout_seconds=60)
            scans = [asyncio.create_task(client.scan(octets(bytes(5_000_000)))) for _ in range(6)]
            await asyncio.sleep(0)
            process.stop(signal.SIGKILL)
            ends = await asyncio.gather(*scans, return_exceptions=True)
            assert all(isinstance(end, ScannerUnavailable) or end == Verdict(Look.CLEAN) for end in ends)
            with pytest.raises(ScannerUnavailable, match="cannot be reached"):
                await client.scan(octets(b"x"))
            start(process)
            assert await client.scan(octets(EICAR)) == Verdict(Look.INFECTED, FOUND)


class TestOthers:
    @pytest.mark.parametrize(
        "reply",
        [
            b"",
            b"stream: OK",  # no end
            b"\0",
            b"stream: OK \0",
            b"stream: O\0K\0",
            b"OK\0",
            b"stream: \xff\xfe\0",
            b"UNKNOWN COMMAND\0",
            b"stream: Can't allocate memory ERROR\0",
            b"x" * 100_000 + b"\0",
        ],
    )
    async def test_whatever_is_no_verdict_is_never_clean(self, reply: bytes) -> None:
        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"zINSTREAM\0")
            writer.write(reply)
            writer.close()

        async with listening(peer) as client:
            with pytest.raises(ScannerUnavailable):
                await client.scan(octets(b"ciao"))

    async def test_a_name_is_bounded_and_of_one_line(self) -> None:
        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"zINSTREAM\0")
            writer.write(b"stream: " + b"A\r\nB\x1b" + b"x" * 3_000 + b" FOUND\0")
            writer.close()

        async with listening(peer) as client:
            found = await client.scan(octets(b"ciao"))
        assert found.look is Look.INFECTED
        assert len(found.name) == 200
        assert found.name.isprintable()

    async def test_a_name_may_be_missing(self) -> None:
        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"zINSTREAM\0")
            writer.write(b"stream:  FOUND\0")
            writer.close()

        async with listening(peer) as client:
            assert (await client.scan(octets(b"ciao"))).look is Look.INFECTED

    async def test_a_scanner_that_is_silent_costs_a_known_time(self) -> None:
        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            asked += 1
            await reader.read()
            writer.close()

        asked = 0
        async with listening(peer, seconds=0.5) as client:
            ends = await asyncio.gather(*(client.scan(octets(b"x")) for _ in range(40)), return_exceptions=True)
            assert all(isinstance(end, ScannerUnavailable) and "no answer" in str(end) for end in ends)
            assert 0 < asked < 40  # the wait for a turn counts, so that some never came to ask

    async def test_a_scanner_that_reads_nothing_holds_up_nothing_but_the_message(self) -> None:
        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await over.wait()
            writer.close()

        over = asyncio.Event()
        async with listening(peer, seconds=0.5) as client:
            with pytest.raises(ScannerUnavailable, match="no answer"):
                await client.scan(octets(bytes(40_000_000)))
            over.set()

    async def test_the_message_goes_in_pieces_and_ends_with_an_empty_one(self) -> None:
        heard: list[bytes] = []

        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"zINSTREAM\0")
            while length := struct.unpack("!L", await reader.readexactly(4))[0]:
                heard.append(await reader.readexactly(length))
            writer.write(b"stream: OK\0")
            writer.close()

        data = bytes(range(256)) * 10_000
        async with listening(peer) as client:
            assert await client.scan(octets(data)) == Verdict(Look.CLEAN)
        assert b"".join(heard) == data
        assert max(map(len, heard)) <= 256 * 1024

    @pytest.mark.parametrize("address", [Path("/nonexistent/clamd.sock"), ("127.0.0.1", 1), ("nowhere.invalid", 3310)])
    async def test_where_nobody_listens_there_is_no_verdict(self, address: Path | tuple[str, int]) -> None:
        client = Clamd(address, timeout_seconds=60)
        with pytest.raises(ScannerUnavailable, match="cannot be reached"):
            await client.scan(octets(b"x"))
        with pytest.raises(ScannerUnavailable):
            await client.version()
