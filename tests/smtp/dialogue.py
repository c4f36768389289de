r"""Dialogues as text files.

``C: text`` is sent with CRLF; ``C~ text`` without, with the escapes ``\r \n \0 \xHH`` and ``{x*1000}`` for repetitions.
``S: text`` is how the next reply begins. ``END`` says that the server closes. ``M: from to...`` and the ``| text``
lines after it are a message that the flow must have got; a last ``|~ text`` line has escapes and no CRLF. ``#`` begins
a comment.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.smtp.client import Client

__all__ = ["Dialogue", "Message", "play", "read"]


@dataclass
class Message:
    reverse_path: str
    forward_paths: tuple[str, ...]
    content: bytes = b""


@dataclass
class Dialogue:
    steps: list[bytes | str] = field(default_factory=list)
    """Bytes are sent, text is expected."""
    ends: bool = False
    messages: list[Message] = field(default_factory=list)


def read(path: Path) -> Dialogue:
    dialogue = Dialogue()
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), start=1):
        mark, text = line[:2], line[3:]
        if mark == "C:":
            dialogue.steps.append(text.encode() + b"\r\n")
        elif mark == "C~":
            dialogue.steps.append(_unescaped(text))
        elif mark == "S:":
            dialogue.steps.append(text)
        elif mark == "M:":
            reverse_path, *forward_paths = text.split()
            dialogue.messages.append(Message(reverse_path.strip("<>"), tuple(forward_paths)))
        elif mark == "|~":
            dialogue.messages[-1].content += _unescaped(text)
        elif line[:1] == "|":
            dialogue.messages[-1].content += line[2:].encode() + b"\r\n"
        elif line == "END":
            dialogue.ends = True
        elif line and not line.startswith("#"):
            raise ValueError(f"{path.name}:{number}: {line!r}")
    return dialogue


async def play(client: Client, dialogue: Dialogue, manner: str) -> None:
    """Play the client's part ``in turn``, ``at once`` or ``byte by byte``."""
    if manner != "in turn":
        sent = b"".join(step for step in dialogue.steps if isinstance(step, bytes))
        await client.write(sent, one_by_one=manner == "byte by byte")
    for step in dialogue.steps:
        if isinstance(step, str):
            assert (reply := await client.reply()).startswith(step), f"expected {step!r}, got {reply!r}"
        elif manner == "in turn":
            await client.write(step)
    if dialogue.ends:
        assert await client.gone()


def _unescaped(text: str) -> bytes:
    repeated = re.sub(r"\{(.+?)\*(\d+)\}", lambda found: found[1] * int(found[2]), text)
    return repeated.encode("ascii").decode("unicode_escape").encode("latin-1")
