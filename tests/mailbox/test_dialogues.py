"""Dialogues as text, played line by line, byte by byte and whole sessions at once (D11).

``S:`` the server says, ``C:`` the client says, ``T:`` TLS begins, ``X:`` the server leaves, ``L: clear`` the port
without TLS. In a whole session the client says everything up to ``T:`` or the end before it hears anything.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mailbox.house import Client, House

DIALOGUES = sorted((Path(__file__).parent / "dialogues").glob("*.txt"))


def steps(file: Path) -> list[tuple[str, bytes]]:
    lines = [line for line in file.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return [(line[0], line[3:].encode()) for line in lines]


def by_lines(script: list[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    for step in script:
        yield [step]


def at_once(script: list[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """Flights: all that the client says, then all that it hears, up to TLS or the end."""
    flight: list[tuple[str, bytes]] = []
    for step in script:
        if step[0] == "T":
            yield sorted(flight, key=lambda each: each[0] != "C")
            flight = []
            yield [step]
        else:
            flight.append(step)
    yield sorted(flight, key=lambda each: each[0] != "C")


async def say(client: Client, data: bytes, *, bytewise: bool) -> None:
    if not bytewise:
        client.writer.write(data)
        return
    for octet in data:
        client.writer.write(bytes([octet]))
        await asyncio.sleep(0)
        await client.writer.drain()


@pytest.mark.parametrize("way", ["lines", "bytes", "session"])
@pytest.mark.parametrize("file", DIALOGUES, ids=lambda file: file.stem)
async def test_the_dialogue_goes_as_written(file: Path, way: str, house: House) -> None:
    script = steps(file)
    clear = script[0] == ("L", b"clear")
    script = script[clear:]
    client = await Client.connect(house.clear if clear else house.secure, None if clear else house.tls.client())
    for flight in at_once(script) if way == "session" else by_lines(script):
        said = b"".join(text + b"\r\n" for who, text in flight if who == "C")
        if said:
            await say(client, said, bytewise=way == "bytes")
        for who, text in flight:
            if who == "S":
                assert await client.hear() == text
            elif who == "T":
                await client.writer.start_tls(house.tls.client(), server_hostname="localhost")
            elif who == "X":
                assert await client.left_alone() == b""
    client.writer.close()
