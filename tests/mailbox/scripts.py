"""Dialogues as text, to be played line by line, byte by byte and whole sessions at once (D11).

``S:`` the server says, ``C:`` the client says, ``T:`` TLS begins, ``X:`` the server leaves, ``L: clear`` the port
without TLS. In a whole session the client says everything up to ``T:`` or the end before it hears anything.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path


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


async def say(writer: asyncio.StreamWriter, data: bytes, *, bytewise: bool) -> None:
    if not bytewise:
        writer.write(data)
        return
    for octet in data:
        writer.write(bytes([octet]))
        await asyncio.sleep(0)
        await writer.drain()
