"""Ordinary mail: what each box decided, and what becomes of mail for several of them."""

import email
import email.policy
from dataclasses import replace

import pytest

from gateway.flows.outcomes import RecipientAnswer, Refusal, Refused, Taken
from gateway.points.ordinary import LOOP_MARK, Ordinary, OrdinaryPolicy
from gateway.storage import policies
from gateway.storage.folders import list_folders
from tests.flows.credentials import START, other_signer
from tests.flows.house import Network, Provider, original
from tests.flows.pens import Pen

BRUNO, CARLA, ANNA = "bruno@beta.example", "carla@beta.example", "anna@beta.example"
STRANGER = "x@mail.example"
RAW = original(sender=STRANGER)
REFUSE = OrdinaryPolicy(ordinary=Ordinary.REFUSE)
IN_JUNK = OrdinaryPolicy(ordinary=Ordinary.FOLDER, folder="Junk")
AWAY = OrdinaryPolicy(ordinary=Ordinary.FORWARD, forward_to="bruno@altrove.example")
POLICY = Refused(Refusal.POLICY)


def decide(provider: Provider, name: str, policy: OrdinaryPolicy | None) -> None:
    box = provider.people[name].mailbox_id
    provider.storage.write_now(lambda connection: policies.set_policy(connection, box, policy, START))


def by_default(provider: Provider, ordinary: Ordinary) -> None:
    provider.receive_settings = replace(provider.receive_settings, ordinary_mail=ordinary)
    provider.wire()


def folders(provider: Provider, name: str) -> list[tuple[str, str]]:
    """Name of the folder and kind of each message; in Italian, as the box is."""
    box = provider.people[name].mailbox_id
    found = provider.storage.read_now(lambda connection: list_folders(connection, box))
    names = {folder.key: folder.name for folder in found}
    return [(names[stored.folder], stored.kind) for stored in provider.mailbox(name)]


class TestEachBox:
    async def test_it_comes_in_an_anomaly_envelope_unless_something_else_was_said(self, beta: Provider) -> None:
        assert await beta.arrive(RAW, BRUNO, reverse_path=STRANGER) == Taken()
        assert folders(beta, "bruno") == [("INBOX", "anomaly")]

    async def test_a_box_may_refuse_it(self, beta: Provider) -> None:
        decide(beta, "bruno", REFUSE)
        assert await beta.arrive(RAW, BRUNO, reverse_path=STRANGER) == POLICY
        assert beta.is_untouched()

    async def test_a_box_may_take_it_where_the_provider_refuses(self, beta: Provider) -> None:
        by_default(beta, Ordinary.REFUSE)
        assert await beta.arrive(RAW, BRUNO, reverse_path=STRANGER) == POLICY
        decide(beta, "bruno", OrdinaryPolicy(ordinary=Ordinary.WRAP))
        assert await beta.arrive(RAW, BRUNO, reverse_path=STRANGER) == Taken()
        decide(beta, "bruno", None)
        assert await beta.arrive(RAW, BRUNO, reverse_path=STRANGER) == POLICY

    @pytest.mark.parametrize("folder", ["Junk", "Posta ordinaria", "Città"])
    async def test_a_box_may_put_it_into_a_folder(self, beta: Provider, folder: str) -> None:
        decide(beta, "bruno", OrdinaryPolicy(ordinary=Ordinary.FOLDER, folder=folder))
        assert await beta.arrive(RAW, BRUNO, reverse_path=STRANGER) == Taken()
        assert folders(beta, "bruno") == [(folder, "anomaly")]

    async def test_the_provider_may_put_all_of_it_into_junk(self, beta: Provider) -> None:
        by_default(beta, Ordinary.FOLDER)
        assert await beta.arrive(RAW, BRUNO, reverse_path=STRANGER) == Taken()
        assert folders(beta, "bruno") == [("Junk", "anomaly")]

    @pytest.mark.edge("E13")
    @pytest.mark.parametrize("policy", [REFUSE, IN_JUNK, AWAY])
    async def test_nothing_certified_is_touched_by_it(self, beta: Provider, pen: Pen, policy: OrdinaryPolicy) -> None:
        """Envelopes, receipts, and what a provider signed but wrote badly or addressed to others (B1, B3, B5)."""
        decide(beta, "bruno", policy)
        data = pen.facts()
        assert await beta.arrive(pen.envelope(data)) == Taken()
        mine = replace(pen.facts(), sender=BRUNO)
        service = "posta-certificata@alfa.example"
        assert await beta.arrive(pen.delivery(mine, "anna@alfa.example"), reverse_path=service) == Taken()
        assert await beta.arrive(pen.envelope(pen.facts([CARLA])), BRUNO) == Taken()
        assert folders(beta, "bruno") == [("INBOX", "envelope"), ("Ricevute", "delivery"), ("INBOX", "anomaly")]
        assert not [post for post in beta.outbox() if post.row.kind == "ordinary"]

    async def test_an_envelope_with_a_bad_seal_is_ordinary_mail(self, beta: Provider) -> None:
        decide(beta, "bruno", IN_JUNK)
        forger = Pen("alfa.example", other_signer("alfa.example", "stranger"))
        assert await beta.arrive(forger.envelope()) == Taken()
        assert folders(beta, "bruno") == [("Junk", "anomaly")]

    async def test_postmaster_takes_everything(self, beta: Provider) -> None:
        by_default(beta, Ordinary.REFUSE)
        assert await beta.arrive(RAW, "postmaster@beta.example", reverse_path=STRANGER) == Taken()
        assert len(beta.mailbox("operator")) == 1

    async def test_what_strays_to_the_service_mailbox_is_kept_and_registered(self, beta: Provider) -> None:
        by_default(beta, Ordinary.REFUSE)
        assert await beta.arrive(RAW, beta.service_address, reverse_path=STRANGER) == Taken()
        assert beta.kinds("posta-certificata") == ["anomaly"]
        assert ("deviation", "ordinary mail for the service mailbox: kept") in beta.events()

    @pytest.mark.edge("O8")
    async def test_our_own_word_about_a_failure_reaches_a_box_that_refuses(self, network: Network) -> None:
        """A bounce of ours is ordinary mail; who refuses that would never learn what became of his message."""
        alfa = network.providers[0]
        decide(alfa, "anna", REFUSE)
        outcome = await alfa.hand_in(original(["nobody@mail.example"]), "nobody@mail.example")
        network.refused = {"nobody@mail.example"}
        await network.carry()
        assert alfa.kinds("anna")[-1] == "anomaly", outcome
        assert b"nobody@mail.example" in alfa.mailbox("anna")[-1].raw


class TestSeveral:
    async def test_each_gets_what_its_box_decided(self, beta: Provider) -> None:
        decide(beta, "carla", IN_JUNK)
        decide(beta, "anna", AWAY)
        assert await beta.arrive(RAW, BRUNO, CARLA, ANNA, reverse_path=STRANGER) == Taken()
        assert folders(beta, "bruno") == folders(beta, "anna") == [("INBOX", "anomaly")]
        assert folders(beta, "carla") == [("Junk", "anomaly")]
        assert [post.row.forward_path for post in beta.outbox()] == ["bruno@altrove.example"]

    async def test_who_decides_otherwise_is_asked_for_apart(self, beta: Provider) -> None:
        """One answer after the last byte must do for all, so those who refuse come in a transaction of their own."""
        decide(beta, "carla", REFUSE)
        welcome, apart = RecipientAnswer.WELCOME, RecipientAnswer.APART
        assert await beta.check_recipient(STRANGER, BRUNO, []) is welcome
        assert await beta.check_recipient(STRANGER, CARLA, [BRUNO]) is apart
        assert await beta.check_recipient(STRANGER, ANNA, [BRUNO]) is welcome
        assert await beta.check_recipient(STRANGER, CARLA, []) is welcome
        assert await beta.check_recipient(STRANGER, BRUNO, [CARLA]) is apart
        assert await beta.check_recipient("", BRUNO, [CARLA]) is apart
        decide(beta, "bruno", REFUSE)
        assert await beta.check_recipient(STRANGER, BRUNO, [CARLA]) is welcome

    async def test_certified_mail_is_never_divided(self, beta: Provider) -> None:
        """One take-charge receipt for all its recipients; its signature is not known yet, its reverse path is."""
        decide(beta, "carla", REFUSE)
        assert await beta.check_recipient("anna@alfa.example", CARLA, [BRUNO]) is RecipientAnswer.WELCOME

    async def test_together_all_the_same_it_reaches_those_who_take_it(self, beta: Provider) -> None:
        """A stranger who names a certified domain as his own: no answer fits all, and nobody is told of the others."""
        decide(beta, "carla", REFUSE)
        assert await beta.arrive(RAW, BRUNO, CARLA) == Taken()
        assert folders(beta, "bruno") == [("INBOX", "anomaly")]
        assert beta.mailbox("carla") == []
        [row] = [row for row in beta.register() if row.event == "failure"]
        assert (row.recipients, row.detail) == ((CARLA,), "the box refuses ordinary mail, others take it")

    async def test_all_refuse(self, beta: Provider) -> None:
        by_default(beta, Ordinary.REFUSE)
        assert await beta.arrive(RAW, BRUNO, CARLA, reverse_path=STRANGER) == POLICY
        assert beta.is_untouched()


class TestForwarding:
    @pytest.mark.edge("O11")
    async def test_a_new_message_carries_what_was_delivered(self, beta: Provider) -> None:
        decide(beta, "bruno", AWAY)
        raw = original(sender=STRANGER, subject="=?utf-8?q?Perch=C3=A9?=")
        assert await beta.arrive(raw, BRUNO, reverse_path=STRANGER) == Taken()
        [delivered] = beta.mailbox("bruno")
        [post] = beta.outbox()
        assert (post.row.reverse_path, post.row.forward_path) == ("", "bruno@altrove.example")
        assert (post.row.kind, post.row.certified) == ("ordinary", False)
        sent = email.message_from_bytes(post.raw, policy=email.policy.SMTP)
        assert sent["From"] == "postmaster@beta.example"
        assert sent["To"] == "bruno@altrove.example"
        assert sent["Subject"] == "Fwd: Perché"
        assert sent["Auto-Submitted"] == "auto-generated"
        assert sent[LOOP_MARK] == BRUNO
        assert not [name for name in sent if name.lower() in ("x-trasporto", "x-ricevuta")]
        text, attached = sent.iter_parts()
        assert BRUNO in text.get_content()
        assert attached.get_content_type() == "message/rfc822"
        assert post.raw.count(delivered.raw) == 1  # byte for byte
        assert ("emission", "forwarded to bruno@altrove.example") in beta.events()

    @pytest.mark.parametrize(
        ("extra", "reverse_path"), [(f"{LOOP_MARK}: z@gamma.example", STRANGER), ("X-Other: 1", "")]
    )
    async def test_neither_forwards_nor_bounces_are_forwarded(
        self, beta: Provider, extra: str, reverse_path: str
    ) -> None:
        decide(beta, "bruno", AWAY)
        await beta.arrive(original(sender=STRANGER, extra=extra), BRUNO, reverse_path=reverse_path)
        assert folders(beta, "bruno") == [("INBOX", "anomaly")]
        assert beta.outbox() == []
        assert ("deviation", "not forwarded to bruno@altrove.example") in beta.events()

    @pytest.mark.edge("O11")
    async def test_not_into_certified_mail(self, beta: Provider) -> None:
        """The index may know a domain by now that it did not know when the holder chose."""
        decide(beta, "bruno", replace(AWAY, forward_to="anna@alfa.example"))
        await beta.arrive(RAW, BRUNO, reverse_path=STRANGER)
        assert beta.outbox() == []

    async def test_one_forward_for_a_box_with_two_addresses(self, beta: Provider) -> None:
        decide(beta, "bruno", AWAY)
        beta.alias("ufficio@beta.example", "bruno")
        await beta.arrive(RAW, BRUNO, "ufficio@beta.example", reverse_path=STRANGER)
        assert len(beta.outbox()) == 1

    async def test_what_comes_back_ends_in_the_register(self, network: Network) -> None:
        """Null-path mail never causes another message."""
        beta = network.providers[1]
        decide(beta, "bruno", AWAY)
        network.refused = {"bruno@altrove.example"}
        await beta.arrive(RAW, BRUNO, reverse_path=STRANGER)
        await network.carry()
        assert beta.outbox() == []
        assert [kind for kind in beta.kinds("bruno") if kind != "anomaly"] == []
        assert "failure" in [event for event, _ in beta.events()]
