"""Our IMAP server beside Dovecot, in one run: how long a client waits for a folder of many messages.

    python bench/imap.py [--messages 10000] [--rounds 5] [--scale 100000] [--json FILE]

Both get the same messages over APPEND, over TLS, on one machine. Every question is asked of both without a clock
first, then in turn of one and the other, who goes first changing too; the shortest time of each counts. The median
is that of the questions marked with a star. ``--scale`` fills a second box of ours with so many messages and
compares SELECT there with SELECT of the first. Needs what the tests of clients need.
"""

import argparse
import contextlib
import imaplib
import json
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import idle
from tests.clients.places import Box, Place, ceralacca, dovecot

THUNDERBIRD: Final = (
    "(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority "
    "References Newsgroups In-Reply-To Content-Type Reply-To)])"
)
SECONDS: Final = 2.0  # that a question may be asked for, beyond the rounds asked for
MOST_ROUNDS: Final = 200
PIPELINED: Final = 200  # messages that one write of APPENDs carries
WORDS: Final = (
    "fattura",
    "contratto",
    "perizia",
    "verbale",
    "offerta",
    "ordine",
    "delibera",
    "ricorso",
    "bando",
    "atto",
)


class Client:
    """A client that asks and reads everything up to the answer, and makes nothing of it."""

    def __init__(self, box: Box) -> None:
        self.session = box.imap()
        self._socket: socket.socket = self.session.socket()
        self._count = 0

    def ask(self, command: str) -> int:
        """Bytes of the answer."""
        self._count += 1
        tag = b"q%d" % self._count
        self._socket.sendall(tag + b" " + command.encode() + b"\r\n")
        return self._hear(tag)

    def _hear(self, tag: bytes) -> int:
        heard, tail, done = 0, b"\r\n", b"\r\n" + tag + b" "
        while True:
            data = self._socket.recv(1 << 18)
            if not data:
                raise ConnectionError("the server left")
            heard += len(data)
            tail = tail[-200:] + data
            at = tail.rfind(done, max(0, len(tail) - 2_000))
            if at >= 0 and tail.endswith(b"\r\n"):
                answer = tail[at + len(done) :]
                if not answer.startswith(b"OK"):
                    raise RuntimeError(answer.decode("utf-8", "replace"))
                return heard

    def time(self, commands: Sequence[str]) -> float:
        """Seconds for these, one after the other."""
        began = time.perf_counter()
        for command in commands:
            self.ask(command)
        return time.perf_counter() - began

    def fill(self, messages: int) -> None:
        for start in range(0, messages, PIPELINED):
            parts = []
            for number in range(start, min(start + PIPELINED, messages)):
                data = letter(number)
                parts.append(b"a%d APPEND INBOX {%d+}\r\n%s\r\n" % (number, len(data), data))
            self._socket.sendall(b"".join(parts))
            self._hear(b"a%d" % (min(start + PIPELINED, messages) - 1))


def letter(number: int) -> bytes:
    """A message as they are, of some 2 kB, the words of which differ."""
    word, other = WORDS[number % 10], WORDS[number // 10 % 10]
    head = (
        f"Received: from mx{number % 7}.beta.example by mx.alfa.example with ESMTPS id {number:x}; "
        f"Thu, {number % 28 + 1} Jan 2026 10:{number % 60:02}:00 +0100\r\n"
        f'From: "Mittente {number % 97}" <mittente{number % 97}@beta.example>\r\n'
        f'To: "Anna Bianchi" <anna@alfa.example>\r\nCc: copia{number % 13}@gamma.example\r\n'
        f"Subject: {word} numero {number} per la {other}\r\n"
        f"Date: Thu, {number % 28 + 1} Jan 2026 10:{number % 60:02}:00 +0100\r\n"
        f"Message-ID: <{number}.{word}@client.beta.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="confine"\r\n\r\n'
    )
    text = f"Gentile Anna,\r\nin allegato la {word} e la {other}, protocollo P{number:06}.\r\n" * 12
    body = (
        f"--confine\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
        f'--confine\r\nContent-Type: application/pdf; name="{word}.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        f"{'JVBERi0xLjQKJ' * 30}\r\n--confine--\r\n"
    )
    return (head + body).encode()


class Question(NamedTuple):
    name: str
    commands: list[str]  # they follow one another
    starred: bool = False  # counts for the median


class Times(NamedTuple):
    """Milliseconds, the shortest of all rounds."""

    name: str
    starred: bool
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


SELECT: Final = Question("SELECT", ["UNSELECT", "SELECT INBOX"], starred=True)


def questions(messages: int) -> list[Question]:
    """What is timed."""
    middle = messages // 2
    low, high = max(1, middle - 99), min(messages, middle + 100)
    some = min(1_000, messages)
    store = [f"STORE 1:{some} +FLAGS (\\Flagged)", f"STORE 1:{some} -FLAGS (\\Flagged)"]
    return [
        SELECT,
        Question("all flags", ["FETCH 1:* (FLAGS)"], starred=True),
        Question("all UIDs and flags", ["UID FETCH 1:* (FLAGS)"]),
        Question("header fields", [f"FETCH 1:* {THUNDERBIRD}"], starred=True),
        Question("other header fields", ["FETCH 1:* (BODY.PEEK[HEADER.FIELDS (From Subject Received)])"]),
        Question("ENVELOPE", ["FETCH 1:* (ENVELOPE)"], starred=True),
        Question("BODYSTRUCTURE", ["FETCH 1:* (BODYSTRUCTURE)"]),
        Question("200 bodies", [f"FETCH {low}:{high} (BODY.PEEK[])"], starred=True),
        Question("200 bodies one by one", [f"FETCH {number} (BODY.PEEK[])" for number in range(low, high + 1)]),
        Question("SEARCH SUBJECT", ['SEARCH SUBJECT "numero 77"'], starred=True),
        Question("SEARCH FROM", ["SEARCH FROM mittente42"]),
        Question("SEARCH BODY", ["SEARCH BODY P000777"], starred=True),
        Question("SEARCH UNSEEN", ["SEARCH UNSEEN"]),
        Question("STORE 1,000", store, starred=True),
        Question("STATUS", ["STATUS Sent (MESSAGES UNSEEN)", "NOOP"]),
    ]


@contextlib.contextmanager
def places() -> Iterator[tuple[Place, Place]]:
    with contextlib.ExitStack() as stack:
        ours = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ceralacca-bench-")))
        yield stack.enter_context(ceralacca(ours)), stack.enter_context(dovecot())


def filled(place: Place, messages: int) -> Client:
    """A client of a box with so many messages, which is selected."""
    client = Client(place.box())
    began = time.perf_counter()
    client.fill(messages)
    print(f"{place.name}: {messages} messages appended in {time.perf_counter() - began:.1f} s", flush=True)
    client.ask("SELECT INBOX")
    return client


def in_turn(question: Question, clients: Sequence[Client], rounds: int) -> list[float]:
    """The shortest time of each, in milliseconds. What is soon over is asked more often: else chance decides."""
    warm = sum(client.time(question.commands) for client in clients)
    best = {client: float("inf") for client in clients}
    for number in range(max(rounds, min(MOST_ROUNDS, int(SECONDS / warm)))):
        for client in clients if number % 2 else reversed(clients):
            best[client] = min(best[client], client.time(question.commands) * 1_000)
    return list(best.values())


def beside(messages: int, ours: Client, theirs: Client, rounds: int) -> list[Times]:
    """Ask everything, and print it as it is known."""
    for client in (ours, theirs):
        client.ask("SEARCH BODY nothing-like-that")  # what an index has to make up for, it may make up for now
    print(f"{'ms':>24} {'Ceralacca':>11} {'Dovecot':>11} {'ratio':>7}")
    found = []
    for question in questions(messages):
        times = Times(question.name, question.starred, *in_turn(question, [ours, theirs], rounds))
        name = question.name + (" *" if question.starred else "  ")
        print(f"{name:>24} {times.ours:11.1f} {times.theirs:11.1f} {times.ratio:7.2f}", flush=True)
        found.append(times)
    return found


def scaled(place: Place, client: Client, messages: int, rounds: int) -> dict[str, float]:
    """How much longer SELECT takes in a folder of so many messages."""
    large = filled(place, messages)
    few, many = in_turn(SELECT, [client, large], rounds)
    print(f"{f'SELECT of {messages}':>24} {many:11.1f} {few:11.1f} {many / few:7.2f}  of its own time before")
    return {"messages": messages, "ms": many, "before": few, "ratio": many / few}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=int, help="messages of a second box, for SELECT")
    parser.add_argument("--idle", type=int, help="so many sessions that wait, instead: how much memory they take")
    parser.add_argument("--json", type=Path, help="where to write the figures too")
    options = parser.parse_args()
    if options.idle:
        idle.measure(options.idle)
        return
    with places() as (place, dovecot_place):
        client, other = filled(place, options.messages), filled(dovecot_place, options.messages)
        times = beside(options.messages, client, other, options.rounds)
        goal = [each.ratio for each in times if each.starred]
        print(f"{'median *':>24} {statistics.median(goal):31.2f}")
        print(f"{'worst *':>24} {max(goal):31.2f}")
        scale = scaled(place, client, options.scale, options.rounds) if options.scale else None
        if options.json:
            rows = [each._asdict() | {"ratio": each.ratio} for each in times]
            options.json.write_text(json.dumps({"messages": options.messages, "rows": rows, "scale": scale}, indent=1))


if __name__ == "__main__":
    imaplib._MAXLINE = 100_000_000  # type: ignore[attr-defined]
    main()
