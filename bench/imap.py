"""Our IMAP server beside Dovecot, in one run: how long a client waits for a folder of many messages.

    python bench/imap.py [--messages 10000] [--rounds 3]

Both get the same messages over APPEND; each question is asked in turn of one and the other, and its shortest time
counts. Needs what the tests of clients need.
"""

import argparse
import contextlib
import imaplib
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import idle
from tests.clients.places import Box, ceralacca, dovecot

THUNDERBIRD: Final = (
    "(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority "
    "References Newsgroups In-Reply-To Content-Type Reply-To)])"
)
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


def questions(messages: int) -> dict[str, list[str]]:
    """What is timed: commands that follow one another."""
    middle = messages // 2
    some = min(1_000, messages)
    return {
        "SELECT": ["UNSELECT", "SELECT INBOX"],
        "all flags": ["FETCH 1:* (FLAGS)"],
        "all UIDs and flags": ["UID FETCH 1:* (FLAGS)"],
        "header fields": [f"FETCH 1:* {THUNDERBIRD}"],
        "ENVELOPE": ["FETCH 1:* (ENVELOPE)"],
        "BODYSTRUCTURE": ["FETCH 1:* (BODYSTRUCTURE)"],
        "200 bodies": [f"FETCH {middle - 99}:{middle + 100} (BODY.PEEK[])"],
        "200 bodies one by one": [f"FETCH {number} (BODY.PEEK[])" for number in range(middle - 99, middle + 101)],
        "SEARCH SUBJECT": ['SEARCH SUBJECT "numero 77"'],
        "SEARCH FROM": ["SEARCH FROM mittente42"],
        "SEARCH BODY": ["SEARCH BODY P000777"],
        "SEARCH UNSEEN": ["SEARCH UNSEEN"],
        "STORE 1,000": [f"STORE 1:{some} +FLAGS (\\Flagged)", f"STORE 1:{some} -FLAGS (\\Flagged)"],
        "STATUS": ["STATUS Sent (MESSAGES UNSEEN)", "NOOP"],
    }


@contextlib.contextmanager
def places() -> Iterator[dict[str, Box]]:
    with contextlib.ExitStack() as stack:
        ours = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ceralacca-bench-")))
        theirs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ceralacca-dovecot-")))
        yield {
            "Ceralacca": stack.enter_context(ceralacca(ours)).box(),
            "Dovecot": stack.enter_context(dovecot(theirs)).box(),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=int, help="so many sessions that wait, instead: how much memory they take")
    options = parser.parse_args()
    if options.idle:
        idle.measure(options.idle)
        return
    with places() as boxes:
        clients = {name: Client(box) for name, box in boxes.items()}
        for name, client in clients.items():
            began = time.perf_counter()
            client.fill(options.messages)
            print(f"{name}: {options.messages} messages appended in {time.perf_counter() - began:.1f} s", flush=True)
            client.ask("SELECT INBOX")
            client.ask("SEARCH BODY nothing-like-that")  # what an index has to make up for, it may make up for now
        ratios = []
        print(f"{'ms':>24} {'Ceralacca':>11} {'Dovecot':>11} {'ratio':>7}")
        for what, commands in questions(options.messages).items():
            best = dict.fromkeys(clients, float("inf"))
            for _ in range(options.rounds):
                for name, client in clients.items():
                    best[name] = min(best[name], client.time(commands))
            ratios.append(best["Ceralacca"] / best["Dovecot"])
            print(
                f"{what:>24} {best['Ceralacca'] * 1000:11.1f} {best['Dovecot'] * 1000:11.1f} {ratios[-1]:7.2f}",
                flush=True,
            )
        print(f"{'median':>24} {statistics.median(ratios):31.2f}")
        print(f"{'worst':>24} {max(ratios):31.2f}")


if __name__ == "__main__":
    imaplib._MAXLINE = 100_000_000  # type: ignore[attr-defined]
    main()
