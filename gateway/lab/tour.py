"""A tour of all kinds of certified message: each is made to happen between two providers, found, and verified.

Everything goes over the sockets that any program would use: submission, port 25, POP3; viruses are found by clamd; for
the timeout notices the lab sets its clocks ahead. What is found is judged by OpenSSL alone.
"""

import asyncio
import email
import email.policy
import email.utils
import poplib
import smtplib
import ssl
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from gateway.lab.clamd import EICAR, LATE
from gateway.lab.ordinary import ORDINARY_DOMAIN
from gateway.lab.plan import AccountPlan, ProviderPlan
from gateway.lab.running import Lab
from gateway.lab.shifting import shift_clocks

__all__ = ["KINDS", "WITH_SCANNER", "Found", "Tour", "kind_of"]

KINDS: Final[Mapping[str, str]] = {
    "T1": "acceptance receipt",
    "T2": "non-acceptance notice, formal faults",
    "T3": "non-acceptance notice, virus",
    "T4": "transport envelope",
    "T5": "take-charge receipt",
    "T6": "anomaly envelope",
    "T7": "virus notice",
    "T8": "non-delivery notice, virus",
    "T9 complete": "delivery receipt, complete",
    "T9 brief": "delivery receipt, brief",
    "T9 concise": "delivery receipt, concise",
    "T10": "non-delivery notice",
    "T11 first": "timeout notice, 12 hours",
    "T11 second": "timeout notice, 24 hours",
}
"""All that there is to be seen, in the order of RFC 6109 chapter 3's numbers in the requirements."""
WITH_SCANNER: Final = frozenset({"T3", "T7", "T8"})

PATIENCE_SECONDS: Final = 60.0  # for one kind to appear
POLL_SECONDS: Final = 0.3
SOCKET_SECONDS: Final = 30
FIRST, SECOND = timedelta(hours=12, minutes=1), timedelta(hours=23, minutes=1)

_BY_MARKER: Final = {
    ("X-Ricevuta", "accettazione"): "T1",
    ("X-Ricevuta", "non-accettazione"): "T2",
    ("X-Trasporto", "posta-certificata"): "T4",
    ("X-Ricevuta", "presa-in-carico"): "T5",
    ("X-Trasporto", "errore"): "T6",
    ("X-Ricevuta", "rilevazione-virus"): "T7",
    ("X-Ricevuta", "errore-consegna"): "T10",
}
_OF_VIRUS: Final = {"T2": "T3", "T10": "T8"}
_FORMS: Final = {
    "Ricevuta di avvenuta consegna": "T9 complete",
    "Ricevuta breve di avvenuta consegna": "T9 brief",
    "Ricevuta sintetica di avvenuta consegna": "T9 concise",
}


@dataclass(frozen=True, slots=True)
class Found:
    """The first message of a kind that was found."""

    kind: str
    mailbox: str
    raw: bytes = field(repr=False)
    verified: bool  # by OpenSSL


class Tour:
    """One tour through a running lab of two providers or more, of which it stops the second.

    Args:
        scanner: the lab's providers scan for viruses.
        tell: is told what happens, line by line.
    """

    def __init__(self, lab: Lab, *, scanner: bool, tell: Callable[[str], None] = lambda _: None) -> None:
        self.found: dict[str, Found] = {}
        self._lab = lab
        self._scanner = scanner
        self._tell = tell
        self._here, self._there = lab.plan.providers[:2]
        self._anna = self._here.accounts[0]
        self._bruno, self._carla = self._there.accounts[1:3]
        self._tls = ssl.create_default_context(cafile=str(lab.layout.ca_file))
        self._seen: set[tuple[str, str]] = set()  # mailbox and unique id

    async def __call__(self) -> None:
        """See all that can be seen; what did not come within a minute is not in ``found`` afterwards."""
        await self._deliveries()
        await self._refusals()
        if self._scanner:
            await self._viruses()
        await self._ordinary_mail()
        await self._silence()

    async def _deliveries(self) -> None:
        self._tell(f"{self._anna.address} writes to two mailboxes, one that does not exist, and an ordinary address")
        nobody, ordinary = f"nessuno@{self._there.domain}", f"dora@{ORDINARY_DOMAIN}"
        await self._send(self._letter("Perizia", to=(self._bruno.address, nobody), cc=(self._carla.address, ordinary)))
        brief = self._letter("Perizia, in breve", to=(self._bruno.address,))
        brief["X-TipoRicevuta"] = "breve"
        await self._send(brief)
        await self._await("T1", "T4", "T5", "T9 complete", "T9 brief", "T9 concise", "T10")

    async def _refusals(self) -> None:
        self._tell("a recipient who is hidden: nothing is accepted")
        hidden = self._letter("Nascosto", to=(self._bruno.address,))
        await self._send(hidden, self._bruno.address, self._carla.address)
        await self._await("T2")

    async def _viruses(self) -> None:
        self._tell("a virus that both scanners know, and one that the sender's does not know yet")
        await self._send(self._letter("EICAR", to=(self._bruno.address,), text=EICAR.decode()))
        await self._send(self._letter("Nuovo virus", to=(self._bruno.address,), text=LATE.decode()))
        await self._await("T3", "T7", "T8")

    async def _ordinary_mail(self) -> None:
        self._tell(f"ordinary mail for {self._bruno.address}")
        letter = self._letter("Posta ordinaria", to=(self._bruno.address,), sender=f"dora@{ORDINARY_DOMAIN}")
        await asyncio.to_thread(self._hand_over, letter)
        await self._await("T6")

    async def _silence(self) -> None:
        self._tell(f"{self._there.name} stops; a message for it waits, 12 hours, then 24")
        await self._lab.processes[self._there.domain].stop()
        letter = self._letter("Nessuna risposta", to=(self._bruno.address,))
        await self._send(letter)
        for kind, shift in (("T11 first", FIRST), ("T11 second", SECOND)):
            shift_clocks(self._lab, shift)
            await self._await(kind)

    def _letter(
        self,
        subject: str,
        *,
        to: Sequence[str],
        cc: Sequence[str] = (),
        text: str = "In allegato la perizia.",
        sender: str | None = None,
    ) -> EmailMessage:
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = sender or self._anna.address, ", ".join(to), subject
        if cc:
            letter["Cc"] = ", ".join(cc)
        letter["Date"] = email.utils.localtime()
        letter["Message-ID"] = email.utils.make_msgid(domain="tour.example")
        letter.set_content(f"{text}\n")
        letter.add_attachment(b"%PDF-1.4\n", maintype="application", subtype="pdf", filename="perizia.pdf")
        return letter

    async def _send(self, letter: EmailMessage, *recipients: str) -> None:
        await asyncio.to_thread(self._submit, letter, recipients)

    def _submit(self, letter: EmailMessage, recipients: Sequence[str]) -> None:
        port = self._here.ports["submissions"]
        with smtplib.SMTP_SSL("localhost", port, context=self._tls, timeout=SOCKET_SECONDS) as client:
            client.login(self._anna.address, self._anna.password)
            client.send_message(letter, to_addrs=list(recipients) or None)

    def _hand_over(self, letter: EmailMessage) -> None:
        """As an ordinary server does, on port 25."""
        with smtplib.SMTP("localhost", self._there.ports["smtp"], timeout=SOCKET_SECONDS) as client:
            client.starttls(context=self._tls)
            client.send_message(letter)

    async def _await(self, *kinds: str) -> None:
        """Look into the mailboxes until the kinds were found, or long enough."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not self.found.keys() >= set(kinds):
                    await asyncio.to_thread(self._look)
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            self._tell(f"not seen: {', '.join(kind for kind in kinds if kind not in self.found)}")

    def _look(self) -> None:
        stopped = {domain for domain, process in self._lab.processes.items() if not process.alive}
        for provider, account in self._boxes():
            if provider.domain not in stopped:
                for raw in self._new_in(provider, account):
                    kind = kind_of(raw)
                    if kind is not None and kind not in self.found:
                        self._tell(f"  {kind}: {KINDS[kind]}, in the mailbox of {account.address}")
                        self.found[kind] = Found(kind, account.address, raw, self._verified(raw))

    def _boxes(self) -> Iterable[tuple[ProviderPlan, AccountPlan]]:
        yield self._here, self._anna
        yield self._here, self._here.service
        yield self._there, self._bruno
        yield self._there, self._carla

    def _new_in(self, provider: ProviderPlan, account: AccountPlan) -> list[bytes]:
        box = poplib.POP3_SSL("localhost", provider.ports["pop3s"], context=self._tls, timeout=SOCKET_SECONDS)
        try:
            box.user(account.address)
            box.pass_(account.password)
            new = []
            for line in box.uidl()[1]:
                number, unique = line.decode("ascii").split()
                if (account.address, unique) not in self._seen:
                    self._seen.add((account.address, unique))
                    new.append(b"\r\n".join(box.retr(int(number))[1]) + b"\r\n")
            return new
        finally:
            box.quit()

    def _verified(self, raw: bytes) -> bool:
        command = ["openssl", "cms", "-verify", "-CAfile", str(self._lab.layout.email_ca_file)]
        try:
            done = subprocess.run(command, input=raw, capture_output=True, check=False, timeout=SOCKET_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def save(self, folder: Path) -> None:
        """Write what was found, a file each."""
        folder.mkdir(parents=True, exist_ok=True)
        for kind, found in self.found.items():
            (folder / f"{kind.replace(' ', '-')}.eml").write_bytes(found.raw)


def kind_of(raw: bytes) -> str | None:
    """Which of ``KINDS`` a message is, by what clients go by; None: it is no certified mail."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    marks = [(name, str(message[name])) for name in ("X-Ricevuta", "X-Trasporto") if name in message]
    if len(marks) != 1:
        return None
    text = _text(message)
    if marks[0] == ("X-Ricevuta", "avvenuta-consegna"):
        return _FORMS.get(text.partition("\n")[0].strip())
    if marks[0] == ("X-Ricevuta", "preavviso-errore-consegna"):
        return "T11 first" if "nelle prime 12 ore" in text else "T11 second"
    kind = _BY_MARKER.get(marks[0])
    return _OF_VIRUS.get(kind or "", kind) if "X-VerificaSicurezza" in message else kind


def _text(message: EmailMessage) -> str:
    """The first text for people."""
    plain = next((part for part in message.walk() if part.get_content_type() == "text/plain"), None)
    if not isinstance(plain, EmailMessage):
        return ""
    text: str = plain.get_content()
    return text
