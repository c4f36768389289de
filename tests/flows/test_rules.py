"""Rules of boxes: decided purely, followed when mail comes in (D34)."""

from dataclasses import replace

import pytest

from gateway.flows.outcomes import Taken
from gateway.points.marks import Mark
from gateway.points.rules import Action, Condition, Facts, Field, Outcome, Rule, Verdict, judge, mark_called
from gateway.storage import folders, rules, usage
from tests.flows.house import Provider, original
from tests.flows.pens import Pen

BRUNO = "bruno@beta.example"
FACTS = Facts(
    sender="Anna@alfa.example",
    recipients=(BRUNO, "x@y.example"),
    subject="Perizia n. 12",
    signer="Alfa PEC",
    kind="envelope",
    size=5_000,
)


def rule(*conditions: tuple[Field, str], stop: bool = False, **actions: str) -> Rule:
    return Rule(
        tuple(Condition(field, value) for field, value in conditions),
        tuple(Action(Outcome(name), value) for name, value in actions.items()),
        stop,
    )


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ((Field.SENDER, "ANNA@"), True),
        ((Field.SENDER, "bruno"), False),
        ((Field.RECIPIENT, "y.example"), True),
        ((Field.SUBJECT, "perizia"), True),
        ((Field.SUBJECT, "fattura"), False),
        ((Field.SIGNER, "alfa"), True),
        ((Field.KIND, "certified"), True),
        ((Field.KIND, "envelope"), True),
        ((Field.KIND, "receipt"), False),
        ((Field.KIND, "unbekannt"), False),
        ((Field.LARGER, "4999"), True),
        ((Field.LARGER, "5000"), False),
        ((Field.SMALLER, "5001"), True),
    ],
)
def test_a_condition_looks_at_one_thing(condition: tuple[Field, str], holds: bool) -> None:
    assert judge([rule(condition, folder="X")], FACTS).folder == ("X" if holds else None)


def test_the_first_folder_wins_marks_add_up_and_a_rule_may_be_the_last() -> None:
    asked = [
        rule(folder="A", mark="seen"),
        rule(folder="B", mark="$label1", forward="o@mail.example"),
        rule((Field.SUBJECT, "fattura"), stop=True, mark="Flagged"),
        rule(stop=True, notify=""),
        rule(mark="Flagged"),
    ]
    expected = Verdict(folder="A", marks=Mark.SEEN | Mark.LABEL_1, forward="o@mail.example", notify=True, last=True)
    assert judge(asked, FACTS) == expected


def test_receipts_and_notices_are_never_forwarded() -> None:
    for kind in ("acceptance", "delivery", "non-delivery", "timeout", "service"):
        assert judge([rule(forward="o@mail.example")], replace(FACTS, kind=kind)).forward is None


@pytest.mark.parametrize("name", ["$Delivered", "$certified", "\\Deleted", "deleted", "Progetto", ""])
def test_marks_that_no_rule_sets(name: str) -> None:
    assert mark_called(name) is None


def give(provider: Provider, *new: Rule) -> None:
    box = provider.people["bruno"].mailbox_id
    for one in new:
        provider.storage.write_now(lambda connection, each=one: rules.add_rule(connection, box, each))  # type: ignore[misc]


async def test_certified_mail_goes_where_its_holder_wants_it(beta: Provider, pen: Pen) -> None:
    box = beta.people["bruno"].mailbox_id
    made = beta.storage.write_now(lambda connection: folders.ensure_folder(connection, box, "Perizie"))
    give(beta, rule((Field.SUBJECT, "perizia"), folder="Perizie", mark="Flagged"))
    assert await beta.arrive(pen.envelope(pen.facts([BRUNO]))) == Taken()
    (stored,) = beta.mailbox("bruno")
    assert stored.folder == made.key
    assert [post.row.kind for post in beta.outbox()] == ["take-charge", "delivery"]


async def test_certified_mail_never_goes_to_junk_by_itself(beta: Provider, pen: Pen) -> None:
    give(beta, rule(folder="Junk"))
    assert await beta.arrive(pen.envelope(pen.facts([BRUNO]))) == Taken()
    raw = original([BRUNO], sender="x@mail.example")
    assert await beta.arrive(raw, BRUNO, reverse_path="x@mail.example") == Taken()
    assert [stored.folder for stored in beta.mailbox("bruno")] == ["INBOX", "Junk"]


async def test_a_copy_leaves_as_an_ordinary_message_after_delivery(beta: Provider, pen: Pen) -> None:
    give(beta, rule(forward="ufficio@mail.example"))
    assert await beta.arrive(pen.envelope(pen.facts([BRUNO]))) == Taken()
    (stored,) = beta.mailbox("bruno")
    (copy,) = [post for post in beta.outbox() if post.row.forward_path == "ufficio@mail.example"]
    assert (copy.row.kind, copy.row.reverse_path, copy.row.certified) == ("ordinary", "", False)
    assert b"Auto-Submitted: auto-generated" in copy.raw
    assert b"X-Ceralacca-Forwarded" in copy.raw
    assert stored.raw in copy.raw
    assert not copy.raw.startswith(stored.raw)
    assert "delivery" in [post.row.kind for post in beta.outbox()]


async def test_nothing_is_forwarded_into_certified_mail_or_from_the_null_path(beta: Provider, pen: Pen) -> None:
    give(beta, rule(forward="carla@alfa.example"))
    assert await beta.arrive(pen.envelope(pen.facts([BRUNO]))) == Taken()
    assert "carla@alfa.example" not in [post.row.forward_path for post in beta.outbox()]
    assert ("deviation", "not forwarded to carla@alfa.example") in beta.events()
    box = beta.people["carla"].mailbox_id
    beta.storage.write_now(lambda c: rules.add_rule(c, box, rule(forward="o@mail.example")))
    carla = "carla@beta.example"
    await beta.arrive(original([carla], sender="x@mail.example"), carla, reverse_path="")
    assert "o@mail.example" not in [post.row.forward_path for post in beta.outbox()]


async def test_a_notice_tells_that_something_came_and_nothing_of_it(beta: Provider, pen: Pen) -> None:
    box = beta.people["bruno"].mailbox_id
    beta.storage.write_now(lambda c: usage.set_notice_address(c, box, "b@mail.example"))
    give(beta, rule(notify=""))
    assert await beta.arrive(pen.envelope(pen.facts([BRUNO]))) == Taken()
    (notice,) = [post for post in beta.outbox() if post.row.forward_path == "b@mail.example"]
    assert b"Perizia" not in notice.raw
    assert b"anna@alfa.example" not in notice.raw


async def test_a_rule_that_is_removed_is_not_asked(beta: Provider, pen: Pen) -> None:
    box = beta.people["bruno"].mailbox_id
    rule_id = beta.storage.write_now(lambda c: rules.add_rule(c, box, rule(folder="Archive")))
    other = beta.people["carla"].mailbox_id
    assert not beta.storage.write_now(lambda c: rules.remove_rule(c, other, rule_id))
    assert beta.storage.write_now(lambda c: rules.remove_rule(c, box, rule_id))
    assert await beta.arrive(pen.envelope(pen.facts([BRUNO]))) == Taken()
    assert [stored.folder for stored in beta.mailbox("bruno")] == ["INBOX"]
