"""POP3 dialogues as text, played in every way (D11); ``scripts`` says how they are written."""

from pathlib import Path

import pytest

from tests.mailbox.house import Client, House
from tests.mailbox.scripts import at_once, by_lines, say, steps

DIALOGUES = sorted((Path(__file__).parent / "dialogues").glob("*.txt"))


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
            await say(client.writer, said, bytewise=way == "bytes")
        for who, text in flight:
            if who == "S":
                assert await client.hear() == text
            elif who == "T":
                await client.writer.start_tls(house.tls.client(), server_hostname="localhost")
            elif who == "X":
                assert await client.left_alone() == b""
    client.writer.close()
