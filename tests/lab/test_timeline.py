"""How the lab draws what the providers' tracking says, without any lab."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from rich.console import Console

from gateway.lab.timeline import timeline
from gateway.points.tracking import RecipientState
from gateway.storage.certified import CertifiedMessage, RecipientStatus
from receipts.wire import ReceiptForm, RecipientKind

AT = datetime(2026, 7, 1, 10, 0, 0, 125_000, UTC)
ROME = ZoneInfo("Europe/Rome")
BRUNO = RecipientStatus(
    address="bruno@beta.example",
    kind=RecipientKind.CERTIFIED,
    role="to",
    provider="Beta PEC",
    state=RecipientState.ACCEPTED,
    state_at=AT,
    accepted_at=AT,
    taken_at=None,
    delayed_at=None,
    ended_at=None,
    end_detail=None,
)
MESSAGE = CertifiedMessage(
    pec_msgid="1@alfa.example",
    msgid="<1@client.example>",
    account_id=1,
    sender="anna@alfa.example",
    reply_to="anna@alfa.example",
    subject="Prova",
    receipt_form=ReceiptForm.COMPLETE,
    at=AT,
    original_body_id=1,
    envelope_body_id=2,
    recipients=(BRUNO,),
)


def drawn(*messages: CertifiedMessage, width: int = 80, height: int = 40) -> str:
    console = Console(width=width, height=height, force_terminal=False, color_system=None)
    with console.capture() as captured:
        console.print(timeline(messages, ROME, height=height))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def test_what_has_not_happened_is_not_drawn() -> None:
    assert drawn(MESSAGE) == (
        '"Prova" from anna@alfa.example\n'
        "  bruno@beta.example   ● accepted\n"
        "                         12:00:00.125\n"  # in the zone of the receipts
    )


def test_each_thing_that_happened_has_its_time() -> None:
    state = RecipientState.DELIVERED
    done = replace(BRUNO, state=state, taken_at=after(0.041), ended_at=after(0.0434))
    assert drawn(replace(MESSAGE, recipients=(done,))) == (
        '"Prova" from anna@alfa.example\n'
        "  bruno@beta.example   ● accepted       ● taken in charge   ● delivered\n"
        "                         12:00:00.125     +0.041 s            +0.043 s\n"
    )


def test_a_failure_says_why() -> None:
    detail = "5.1.1 - Beta PEC - indirizzo non valido"
    failed = replace(BRUNO, state=RecipientState.FAILED, ended_at=after(1), end_detail=detail)
    assert drawn(replace(MESSAGE, recipients=(failed,))).splitlines()[1:] == [
        "  bruno@beta.example   ● accepted       ● not delivered",
        "                         12:00:00.125     +1.000 s",
        "  bruno@beta.example: 5.1.1 - Beta PEC - indirizzo non valido",
    ]


def test_an_ordinary_recipient_earns_no_receipts() -> None:
    ordinary = replace(BRUNO, kind=RecipientKind.EXTERNAL, state=RecipientState.EXTERNAL, ended_at=AT)
    assert "ordinary mail" in drawn(replace(MESSAGE, recipients=(ordinary,)))


def test_a_message_that_was_refused_shows_no_stages() -> None:
    refused = replace(MESSAGE, envelope_body_id=None)
    assert drawn(refused).splitlines()[1] == "  ● refused 12:00:00.125: the notice in the sender's mailbox says why"


def test_what_strangers_wrote_cannot_reach_the_terminal() -> None:
    hostile = replace(BRUNO, address="a\x1b[2J@b.example", ended_at=AT, end_detail="\r\nx\x07")
    told = drawn(replace(MESSAGE, subject="\x1b]0;title\x07\n", sender="[red]x[/red]@c.example", recipients=(hostile,)))
    assert not {"\x1b", "\x07", "\r"} & set(told)
    assert "[red]x[/red]@c.example" in told


def test_the_latest_messages_are_drawn_as_far_as_they_fit() -> None:
    messages = [replace(MESSAGE, subject=f"Prova {number}") for number in range(20)]
    told = drawn(*messages, height=12)
    assert [line for line in told.splitlines() if line.startswith('"')] == [
        f'"Prova {number}" from anna@alfa.example' for number in (17, 18, 19)
    ]
    assert drawn(*messages, height=0).count("from") == 1


def test_many_recipients_are_counted() -> None:
    crowd = tuple(replace(BRUNO, address=f"persona{number}@beta.example") for number in range(50))
    told = drawn(replace(MESSAGE, recipients=crowd))
    assert told.count("● accepted") == 12
    assert "  and 38 more" in told
