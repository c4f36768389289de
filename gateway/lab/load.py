"""A generator of certified mail: knows ``lab.json`` and nothing else, sends by SMTP, sees receipts by POP3 .

Every sender signs in anew for each connection and hands in ``FLOWS_PER_CONNECTION`` messages on it. Mailboxes are
emptied by POP3 while it runs; what was found is counted by the client's msgid, so nothing can be lost or doubled
without being noticed.
"""

import asyncio
import base64
import contextlib
import json
import random
import re
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gateway.lab.conversation import Mailbox, Session, pop3, submission
from receipts.wire import X_RICEVUTA, X_RIFERIMENTO_MESSAGE_ID, X_TRASPORTO

__all__ = ["Flow", "LoadResult", "Pair", "Traffic", "generate", "pairs_of", "run_load"]

FLOWS_PER_CONNECTION = 20
POLL_SECONDS = 2.0  # of each mailbox; every poll is a TLS handshake and a sign-in, which the providers pay for
PAUSE_SECONDS = 0.2  # before a broken connection is made anew
PATIENCE_SECONDS = 60.0
"""How long nothing may happen before receipts that are missing count as lost."""
ACCEPTANCE, DELIVERY, ENVELOPE = "accettazione", "avvenuta-consegna", "posta-certificata"
_HEADER = re.compile(
    rb"^(%b|%b|%b): ([^\r]*)\r$" % (X_RICEVUTA.encode(), X_TRASPORTO.encode(), X_RIFERIMENTO_MESSAGE_ID.encode()),
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Pair:
    sender: Mailbox
    recipient: Mailbox


@dataclass(slots=True)
class Flow:
    """One message; instants are monotonic seconds."""

    msgid: str
    sent_at: float
    accepted_at: float | None = None
    receipt_at: float | None = None


@dataclass(slots=True)
class LoadResult:
    flows: list[Flow] = field(default_factory=list)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)  # by msgid and kind, over all mailboxes
    errors: list[str] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0
    cpu_seconds: float = 0.0  # of the generator
    _by_msgid: dict[str, Flow] = field(default_factory=dict, repr=False)

    @property
    def acknowledged(self) -> list[Flow]:
        return [flow for flow in self.flows if flow.accepted_at is not None]

    def flow(self, msgid: str) -> Flow | None:
        if len(self._by_msgid) != len(self.flows):
            self._by_msgid = {flow.msgid: flow for flow in self.flows}
        return self._by_msgid.get(msgid)

    def missing(self) -> list[str]:
        """Acknowledged messages without acceptance, delivery receipt or envelope."""
        kinds = (ACCEPTANCE, DELIVERY, ENVELOPE)
        return [flow.msgid for flow in self.acknowledged if any(not self.found[flow.msgid, kind] for kind in kinds)]

    def doubled(self) -> list[str]:
        """Messages of which something was found twice."""
        return sorted({msgid for (msgid, _), count in self.found.items() if count > 1})


def pairs_of(lab: dict[str, Any], most: int) -> list[Pair]:
    """Senders and recipients: the n-th account of one provider writes to the n-th of the next, and back."""
    by_domain: dict[str, list[Mailbox]] = {}
    ports = {provider["domain"]: provider["ports"] for provider in lab["providers"]}
    for account in lab["accounts"]:
        domain = account["address"].rpartition("@")[2]
        box = Mailbox(account["address"], account["password"], ports[domain]["submissions"], ports[domain]["pop3s"])
        by_domain.setdefault(domain, []).append(box)
    domains = list(by_domain.values())
    pairs = [
        Pair(sender, recipient)
        for row in zip(*domains, strict=False)
        for sender, recipient in zip(row, (*row[1:], row[0]), strict=True)
    ]
    return pairs[:most]


async def generate(lab_file: Path, *, flows: int, size: int, rate: float | None = None) -> LoadResult:
    """``run_load`` in a process of its own, as any other program would be.

    Raises:
        RuntimeError: that process failed.
    """
    command = [sys.executable, "-m", "gateway.lab.load", str(lab_file), str(flows), str(size), str(rate or 0)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the generator ended with {process.returncode}")
    raw = json.loads(output)
    return LoadResult(
        flows=[Flow(**flow) for flow in raw["flows"]],
        found=Counter({(msgid, kind): count for msgid, kind, count in raw["found"]}),
        errors=raw["errors"],
        began=raw["began"],
        ended=raw["ended"],
        cpu_seconds=raw["cpu_seconds"],
    )


async def run_load(lab_file: Path, *, flows: int, size: int, rate: float | None, senders: int = 20) -> LoadResult:
    """Send ``flows`` messages of about ``size`` bytes, as fast as they are accepted or ``rate`` a second.

    Returns when every receipt was fetched, or nothing has happened for a minute.
    """
    lab = json.loads(await asyncio.to_thread(lab_file.read_text))
    context = ssl.create_default_context(cafile=lab["ca_file"])
    pairs = pairs_of(lab, senders)
    traffic = Traffic(pairs, context, flows=flows, size=size, rate=rate)
    watch = Watch((box for pair in pairs for box in (pair.sender, pair.recipient)), context, traffic.result)
    watching = asyncio.create_task(watch.run())
    await traffic.run()
    result = traffic.result
    with contextlib.suppress(TimeoutError):
        while any(flow.receipt_at is None for flow in result.acknowledged):
            watch.fetched.clear()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await watch.fetched.wait()
    result.ended = max((flow.receipt_at or 0.0 for flow in result.flows), default=time.monotonic())
    watch.stop()
    await watching
    await watch.empty_all()
    return result


class Traffic:
    """Senders that hand in messages. What was not acknowledged is handed in again, as a mail program would."""

    def __init__(
        self, pairs: list[Pair], context: ssl.SSLContext, *, flows: int, size: int, rate: float | None = None
    ) -> None:
        self.result = LoadResult()
        self._pairs = pairs
        self._context = context
        self._left = flows
        self._rate = rate
        self._body = _body(size)
        self._started = 0

    async def run(self) -> None:
        """Returns when every message is acknowledged."""
        self.result.began = time.monotonic()
        await asyncio.gather(*(self._send_all(pair) for pair in self._pairs))

    async def _send_all(self, pair: Pair) -> None:
        flow: Flow | None = None
        while self._left > 0 or flow is not None:
            try:
                async with submission(pair.sender, self._context) as session:
                    for _ in range(FLOWS_PER_CONNECTION):
                        flow = flow or await self._next()
                        if flow is None:
                            return
                        await self._send(session, pair, flow)
                        flow = None
            except (OSError, asyncio.IncompleteReadError, RuntimeError) as error:
                self.result.errors.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(PAUSE_SECONDS)

    async def _next(self) -> Flow | None:
        """The next message, when its time has come; None if there is none."""
        if self._left <= 0:
            return None
        self._left -= 1
        self._started += 1
        if self._rate is not None:
            due = self.result.began + self._started / self._rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        flow = Flow(f"<{random.getrandbits(96):x}@load.example>", time.monotonic())
        self.result.flows.append(flow)
        return flow

    async def _send(self, session: Session, pair: Pair, flow: Flow) -> None:
        head = (
            f"From: {pair.sender.address}\r\nTo: {pair.recipient.address}\r\nSubject: Carico {flow.msgid[1:9]}\r\n"
            f"Message-ID: {flow.msgid}\r\nDate: Mon, 02 Mar 2026 09:00:00 +0100\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: text/plain; charset=us-ascii\r\n\r\n{flow.msgid}\r\n"
        )
        session.write(f"MAIL FROM:<{pair.sender.address}>\r\nRCPT TO:<{pair.recipient.address}>\r\nDATA\r\n".encode())
        for code in (b"250", b"250", b"354"):
            await session.expect(code)
        session.write(head.encode() + self._body + b"\r\n.\r\n")
        await session.drain()
        await session.expect(b"250 2.6.0", accepted=True)
        flow.accepted_at = time.monotonic()


class Watch:
    """Empties mailboxes by POP3, again and again, and counts what was in them."""

    def __init__(self, boxes: Iterable[Mailbox], context: ssl.SSLContext, result: LoadResult) -> None:
        self._boxes = {box.address: box for box in boxes}
        self._context = context
        self._result = result
        self._over = False
        self.fetched = asyncio.Event()
        """Set whenever a delivery receipt was fetched."""

    async def run(self) -> None:
        """Until ``stop``; never cut off between fetching and deleting, which would count things twice."""
        await asyncio.gather(*(self._watch(box) for box in self._boxes.values()))

    def stop(self) -> None:
        self._over = True

    async def empty_all(self) -> None:
        for box in self._boxes.values():
            await self._empty(box)

    async def _watch(self, box: Mailbox) -> None:
        while not self._over:
            await asyncio.sleep(POLL_SECONDS * random.uniform(0.8, 1.2))
            await self._empty(box)

    async def _empty(self, box: Mailbox) -> None:
        try:
            async with pop3(box, self._context) as session:
                await self._fetch(session)
        except (OSError, asyncio.IncompleteReadError, RuntimeError) as error:
            self._result.errors.append(f"pop3 {type(error).__name__}: {error}")

    async def _fetch(self, session: Session) -> None:
        """Read the headers of everything, each delivery receipt whole, and delete it all."""
        count = int((await session.ask("STAT")).split()[1])
        if not count:
            return
        session.write("".join(f"TOP {number} 0\r\n" for number in range(1, count + 1)).encode())
        receipts: list[tuple[int, str]] = []
        for number in range(1, count + 1):
            found = {name.decode(): value.decode() for name, value in _HEADER.findall(await session.listing())}
            kind = found.get(X_RICEVUTA) or found.get(X_TRASPORTO) or "other"
            msgid = found.get(X_RIFERIMENTO_MESSAGE_ID, "")
            self._result.found[msgid, kind] += 1
            if kind == DELIVERY:
                receipts.append((number, msgid))
        session.write("".join(f"RETR {number}\r\n" for number, _ in receipts).encode())
        for _, msgid in receipts:
            await session.listing()
            flow = self._result.flow(msgid)
            if flow is not None and flow.receipt_at is None:
                flow.receipt_at = time.monotonic()
                self.fetched.set()
        session.write("".join(f"DELE {number}\r\n" for number in range(1, count + 1)).encode())
        for _ in range(count):
            await session.expect(b"+OK")


def _body(size: int) -> bytes:
    """Lines of text, about ``size`` bytes of them with the header that will stand before."""
    room = max(0, size - 300)
    text = base64.b64encode(random.randbytes(room * 3 // 4 + 3))
    lines = [text[at : at + 76] for at in range(0, room * 76 // 78, 76)]
    return b"\r\n".join(lines)


def _main() -> None:
    file, flows, size, rate = sys.argv[1:]
    result = asyncio.run(run_load(Path(file), flows=int(flows), size=int(size), rate=float(rate) or None))
    json.dump(
        {
            "flows": [asdict(flow) for flow in result.flows],
            "found": [(*key, count) for key, count in result.found.items()],
            "errors": result.errors,
            "began": result.began,
            "ended": result.ended,
            "cpu_seconds": time.process_time(),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    _main()
