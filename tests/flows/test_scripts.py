"""Sieve scripts of boxes, followed when mail comes in: nothing is lost, and what certifies goes its way (D34)."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from gateway.flows.outcomes import Protocol, Taken, Visit
from gateway.flows.scripts import Refusal, Scripts, ScriptsRefused
from gateway.points.digests import About, Beat
from gateway.points.rules import Action, Outcome, Rule
from gateway.points.sharing import Right
from gateway.points.sieve.errors import ScriptRefused
from gateway.storage import accounts, digests, folders, rules, scripts, usage
from gateway.storage.digests import Subscription
from gateway.storage.tables import box_journal
from tests.flows.house import Provider, original
from tests.flows.pens import Pen
from tests.flows.remote import Remote, bind, hand_over

BRUNO = "bruno@beta.example"
AT = datetime(2026, 11, 22, tzinfo=UTC)
STRANGER = "x@mail.example"


def script(provider: Provider, text: str) -> int:
    """Let a script be asked about what comes in for bruno; the id of his mailbox."""
    box = provider.people["bruno"].mailbox_id
    provider.storage.write_now(lambda c: scripts.put_script(c, box, "filtro", text.encode(), AT))
    assert provider.storage.write_now(lambda c: scripts.activate(c, box, "filtro"))
    return box


async def strange_mail(provider: Provider, reverse_path: str = STRANGER) -> None:
    assert await provider.arrive(original([BRUNO], sender=STRANGER), BRUNO, reverse_path=reverse_path) == Taken()


async def test_certified_mail_goes_where_the_script_says_and_its_receipts_leave(beta: Provider, pen: Pen) -> None:
    box = script(
        beta,
        'require ["fileinto", "copy", "imap4flags", "vnd.ceralacca.certified"];'
        'if allof(certified "kind" "certified", certified :contains "subject" "perizia",'
        ' header :contains "subject" "POSTA CERTIFICATA:", exists "x-trasporto") {'
        ' addflag "\\\\Flagged"; fileinto "Perizie"; fileinto "Archive"; }',
    )
    made = beta.storage.write_now(lambda c: folders.ensure_folder(c, box, "Perizie"))
    before = beta.storage.read_now(lambda c: usage.usage_of(c, box))
    envelope = pen.envelope(pen.facts([BRUNO]))
    assert await beta.arrive(envelope) == Taken()
    first, second = beta.mailbox("bruno")
    assert [first.folder, second.folder] == [made.key, "Archive"]
    assert first.raw == second.raw
    after = beta.storage.read_now(lambda c: usage.usage_of(c, box))
    assert before is not None
    assert after is not None
    assert after.used - before.used == len(first.raw)
    assert [post.row.kind for post in beta.outbox()] == ["take-charge", "delivery"]


async def test_what_a_script_discards_is_in_the_trash_and_certified_mail_is_not(beta: Provider, pen: Pen) -> None:
    script(beta, "discard;")
    await strange_mail(beta)
    assert await beta.arrive(pen.envelope(pen.facts([BRUNO]))) == Taken()
    assert [(one.kind, one.folder) for one in beta.mailbox("bruno")] == [("anomaly", "Trash"), ("envelope", "INBOX")]
    assert "delivery" in [post.row.kind for post in beta.outbox()]


async def test_what_a_script_redirects_stays_and_a_copy_leaves(beta: Provider, pen: Pen) -> None:
    script(beta, 'redirect "ufficio@mail.example"; redirect "altro@mail.example";')
    assert await beta.arrive(pen.envelope(pen.facts([BRUNO]))) == Taken()
    (stored,) = beta.mailbox("bruno")
    paths = [post.row.forward_path for post in beta.outbox() if post.row.kind == "ordinary"]
    assert (stored.folder, paths) == ("INBOX", ["ufficio@mail.example"])


async def test_a_notice_goes_to_the_address_of_the_script_but_never_about_a_notice(beta: Provider) -> None:
    script(beta, 'require "enotify"; notify "mailto:b@mail.example";')
    await strange_mail(beta, reverse_path="")
    assert [post for post in beta.outbox() if post.row.forward_path == "b@mail.example"] == []
    await strange_mail(beta)
    (notice,) = [post for post in beta.outbox() if post.row.forward_path == "b@mail.example"]
    assert b"A message has arrived in the mailbox bruno@beta.example" in notice.raw


async def test_rules_come_before_the_script_and_one_may_be_the_last(beta: Provider) -> None:
    box = script(beta, 'require "fileinto"; fileinto "Archive";')
    rule = Rule((), (Action(Outcome.COPY, "Drafts"),))
    beta.storage.write_now(lambda c: rules.add_rule(c, box, rule))
    await strange_mail(beta)
    last = Rule((), (Action(Outcome.MARK, "Flagged"),), stop=True)
    beta.storage.write_now(lambda c: rules.add_rule(c, box, last))
    await strange_mail(beta)
    assert [one.folder for one in beta.mailbox("bruno")] == ["Archive", "Drafts", "INBOX", "Drafts"]


async def test_a_script_that_fails_keeps_the_mail_and_its_holder_hears_once(beta: Provider) -> None:
    many = "".join(f'fileinto "f{number}";' for number in range(11))
    box = script(beta, f'require "fileinto"; {many}')
    for _ in range(3):
        await strange_mail(beta)
    mails = beta.mailbox("bruno")
    assert [one.folder for one in mails] == ["INBOX"] * 4
    (letter,) = [one for one in mails if one.kind != "anomaly"]
    assert b"Sieve filtro" in letter.raw
    assert b"more than 10 folders" in letter.raw
    beta.storage.write_now(lambda c: scripts.put_script(c, box, "filtro", b"keep;", AT))
    await strange_mail(beta)
    assert len(beta.mailbox("bruno")) == 5


async def test_a_script_that_is_understood_no_longer_keeps_the_mail(beta: Provider) -> None:
    script(beta, 'require "an-extension-of-old-times";')
    await strange_mail(beta)
    assert [one.folder for one in beta.mailbox("bruno")] == ["INBOX", "INBOX"]


def test_a_box_is_asked_for_rules_and_scripts_only_if_it_has_some(beta: Provider) -> None:
    def asked() -> bool:
        found = beta.storage.read_now(lambda c: accounts.mailbox_of(c, BRUNO))
        assert found is not None
        return found.has_rules

    assert not asked()
    box = script(beta, "keep;")
    assert asked()
    rule = beta.storage.write_now(lambda c: rules.add_rule(c, box, Rule((), (Action(Outcome.NOTIFY),))))
    assert beta.storage.write_now(lambda c: scripts.activate(c, box, None))
    assert asked()
    assert beta.storage.write_now(lambda c: rules.remove_rule(c, box, rule))
    assert not asked()


def test_of_several_scripts_one_is_active_and_that_one_is_not_removed(beta: Provider) -> None:
    box = script(beta, "keep;")
    beta.storage.write_now(lambda c: scripts.put_script(c, box, "altro", b"stop;", AT))
    assert not beta.storage.write_now(lambda c: scripts.activate(c, box, "nessuno"))
    assert beta.storage.write_now(lambda c: scripts.activate(c, box, "altro"))
    listed = [(one.name, one.active) for one in beta.storage.read_now(lambda c: scripts.list_scripts(c, box))]
    assert listed == [("altro", True), ("filtro", False)]
    assert not beta.storage.write_now(lambda c: scripts.remove_script(c, box, "altro"))
    assert beta.storage.write_now(lambda c: scripts.rename_script(c, box, "altro", "nuovo"))
    assert beta.storage.write_now(lambda c: scripts.remove_script(c, box, "filtro"))
    other = beta.people["carla"].mailbox_id
    assert beta.storage.read_now(lambda c: scripts.script_named(c, other, "nuovo")) is None


async def test_holders_keep_scripts_and_their_folders_are_made(beta: Provider) -> None:
    flow = Scripts(beta.storage, beta.clock)
    holder = beta.holder("bruno")
    script = b'require ["fileinto", "mailbox"]; fileinto :create "Nuova/Sotto"; fileinto "Altrove";'
    assert await flow.put(holder, "uno", script) == ["there is no folder 'Altrove': what goes there stays in the inbox"]
    assert await flow.check(holder, b"keep;") == []
    await flow.activate(holder, "uno")
    made = beta.storage.read_now(lambda c: [one.name for one in folders.list_folders(c, holder.mailbox_id)])
    assert "Nuova/Sotto" in made
    assert "Altrove" not in made
    await flow.put(holder, "uno", script.replace(b"Sotto", b"Altro"))
    made = beta.storage.read_now(lambda c: [one.name for one in folders.list_folders(c, holder.mailbox_id)])
    assert "Nuova/Altro" in made
    assert (await flow.get(holder, "uno")).endswith(b'"Altrove";')
    await flow.rename(holder, "uno", "due")
    assert [(one.name, one.active) for one in await flow.listed(holder)] == [("due", True)]
    await flow.activate(holder, "")
    await flow.remove(holder, "due")
    assert await flow.listed(holder) == []


async def test_what_is_refused_changes_nothing(beta: Provider) -> None:
    flow = Scripts(beta.storage, beta.clock)
    holder = beta.holder("bruno")
    with pytest.raises(ScriptRefused):
        await flow.put(holder, "uno", b"keep")
    await flow.put(holder, "uno", b"keep;")
    await flow.put(holder, "due", b"keep;")
    await flow.activate(holder, "uno")
    refusals = [
        (flow.remove(holder, "uno"), Refusal.ACTIVE),
        (flow.remove(holder, "tre"), Refusal.MISSING),
        (flow.activate(holder, "tre"), Refusal.MISSING),
        (flow.get(holder, "tre"), Refusal.MISSING),
        (flow.rename(holder, "tre", "x"), Refusal.MISSING),
        (flow.rename(holder, "uno", "due"), Refusal.EXISTS),
        (flow.rename(holder, "uno", "a\nb"), Refusal.NAME),
        (flow.put(holder, "", b"keep;"), Refusal.NAME),
        (flow.has_space(holder, "x", 65_537), Refusal.TOO_LARGE),
    ]
    for act, why in refusals:
        with pytest.raises(ScriptsRefused) as refused:
            await act
        assert refused.value.why is why
    assert [(one.name, one.active) for one in await flow.listed(holder)] == [("due", False), ("uno", True)]
    for number in range(18):
        await flow.put(holder, str(number), b"keep;")
    await flow.has_space(holder, "uno", 65_536)
    with pytest.raises(ScriptsRefused):
        await flow.has_space(holder, "neu", 10)


async def test_another_server_is_handed_a_message_once_and_one_receipt_is_due(beta: Provider, pen: Pen) -> None:
    bind(beta, "bruno")
    script(beta, 'require "fileinto"; fileinto "Lavoro"; fileinto "Archive"; keep;')
    assert await beta.arrive(pen.envelope(pen.facts([BRUNO]))) == Taken()
    remote = Remote()
    await hand_over(beta, remote)
    assert [(place, len(kept)) for place, kept in remote.kept.items()] == [((BRUNO, "Lavoro"), 1)]
    assert [post.row.kind for post in beta.outbox()] == ["take-charge", "delivery"]
    assert beta.mailbox("bruno") == []


async def test_copies_are_no_arrivals_to_tell_of(beta: Provider, pen: Pen) -> None:
    box = script(beta, 'require "fileinto"; fileinto "Archive"; fileinto "Drafts"; keep;')
    beta.storage.write_now(lambda c: usage.set_notice_address(c, box, "b@mail.example"))
    wanted = Subscription(Beat.IMMEDIATELY, About.CERTIFIED)
    beta.storage.write_now(lambda c: digests.set_digest(c, box, wanted, beta.clock.now()))
    assert await beta.arrive(pen.envelope(pen.facts([BRUNO]))) == Taken()
    (told,) = beta.storage.read_now(lambda c: digests.waiting(c, beta.clock.now()))
    assert told.counted[About.CERTIFIED] == 1


async def test_in_a_shared_box_managers_change_scripts_and_the_journal_tells_of_it(beta: Provider) -> None:
    flow, box = Scripts(beta.storage, beta.clock), beta.people["bruno"].mailbox_id
    owner = replace(beta.holder("bruno"), visit=visit_of(None, Right.MANAGE))
    await flow.put(owner, "uno", b"keep;")
    with pytest.raises(ScriptsRefused) as refused:
        await flow.activate(replace(owner, visit=visit_of(999, Right.READ)), "uno")
    assert refused.value.why is Refusal.FORBIDDEN
    told = beta.storage.read_now(lambda c: c.execute(select(box_journal.c.act, box_journal.c.detail)).all())
    assert [(act, json.loads(facts)) for act, facts in told] == [("changed rules", {"what": "put", "script": "uno"})]
    assert not beta.storage.read_now(lambda c: scripts.active_scripts(c, [box]))


def visit_of(person_id: int | None, right: Right) -> Visit:
    return Visit(
        person_id=person_id,
        person=None if person_id is None else "Carla",
        right=right,
        device="",
        protocol=Protocol.SIEVE,
        address="192.0.2.1",
    )
