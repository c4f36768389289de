"""The same text dialogues against both servers, in turn, at once and byte by byte (D11, D37)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.smtp.client import Client
from tests.smtp.conftest import House, Tls
from tests.smtp.dialogue import Dialogue, play, read

DIALOGUES = Path(__file__).parent / "dialogues"
MANNERS = ["in turn", "at once", "byte by byte"]


def cases(folder: str) -> list[Path]:
    found = sorted((DIALOGUES / folder).glob("*.txt"))
    assert found
    return found


def name(path: object) -> str | None:
    return path.stem if isinstance(path, Path) else None


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("path", cases("both") + cases("relay"), ids=name)
async def test_relay_port_follows_the_dialogue(house: Callable[..., House], path: Path, manner: str) -> None:
    built = house(max_recipients=50, max_message_bytes=20_000, max_bad_commands=5)
    _, port = await built.relay()
    client = await Client.connect(port)
    await play(client, read(path), manner)
    client.close()
    agree(built, read(path))


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("path", cases("both"), ids=name)
async def test_submission_follows_the_dialogue(house: Callable[..., House], tls: Tls, path: Path, manner: str) -> None:
    built = house(max_recipients=50, max_message_bytes=20_000, max_bad_commands=5)
    _, port = await built.submission(implicit_tls=True)
    client = await Client.connect(port, tls.client)
    await client.sign_in()
    await play(client, read(path), manner)
    client.close()
    agree(built, read(path))


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("path", cases("submission"), ids=name)
async def test_submission_in_clear_follows_the_dialogue(house: Callable[..., House], path: Path, manner: str) -> None:
    built = house(max_bad_commands=5)
    _, port = await built.submission()
    client = await Client.connect(port)
    await play(client, read(path), manner)
    client.close()
    assert built.flows.messages == []
    assert built.flows.sign_ins == []


def agree(built: House, dialogue: Dialogue) -> None:
    """Whether the flow got the dialogue's messages, and nothing else."""
    got = [(message.reverse_path, message.forward_paths, message.message.read()) for message in built.flows.messages]
    assert got == [(each.reverse_path, each.forward_paths, each.content) for each in dialogue.messages]
