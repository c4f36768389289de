"""One mailbox, many addresses: aliases, subaddresses, customers' own and international domains."""

import pytest

from gateway.flows.outcomes import RecipientAnswer, Taken
from gateway.storage import domains
from gateway.storage.subaddresses import base_of, set_separator
from tests.flows.credentials import START
from tests.flows.house import Network, Provider, original
from tests.flows.pens import Pen

TAGGED = "bruno+Fatture@beta.example"


def divide(provider: Provider, separator: str | None, domain: str = "beta.example") -> None:
    provider.storage.write_now(lambda connection: set_separator(connection, domain, separator, START))


class TestSubaddresses:
    @pytest.mark.edge("O10")
    async def test_they_lead_to_the_box_and_receipts_name_them_as_they_were_written(
        self, beta: Provider, pen: Pen
    ) -> None:
        divide(beta, "+")
        data = pen.facts([TAGGED, "bruno@beta.example"])
        assert await beta.check_recipient("anna@alfa.example", TAGGED) is RecipientAnswer.WELCOME
        assert await beta.arrive(pen.envelope(data), TAGGED, "bruno@beta.example") == Taken()
        assert beta.kinds("bruno") == ["envelope"]  # once
        answers = [post.certified for post in beta.outbox() if post.row.kind == "delivery"]
        assert [answer.said("consegna") for answer in answers] == [TAGGED, "bruno@beta.example"]
        [taken] = [post.certified for post in beta.outbox() if post.row.kind == "take-charge"]
        assert taken.each("ricezione") == [TAGGED, "bruno@beta.example"]

    async def test_a_sender_sees_the_address_he_wrote_to_reach_its_end(self, network: Network) -> None:
        alfa, beta = network.providers
        divide(beta, "+")
        outcome = await alfa.hand_in(original([TAGGED]), TAGGED)
        await network.carry()
        assert alfa.states(outcome.pec_msgid) == {TAGGED: "delivered"}

    async def test_a_domain_that_does_not_divide_knows_no_such_mailbox(self, beta: Provider, pen: Pen) -> None:
        for separator in (None, "-"):
            divide(beta, separator)
            assert await beta.check_recipient("x@mail.example", TAGGED) is RecipientAnswer.UNKNOWN_MAILBOX
        await beta.arrive(pen.envelope(pen.facts([TAGGED])), TAGGED)
        [notice] = [post.certified for post in beta.outbox() if post.row.kind == "non-delivery"]
        assert notice.said("consegna") == TAGGED

    async def test_an_address_of_its_own_comes_first(self, beta: Provider) -> None:
        divide(beta, "+")
        beta.alias(TAGGED, "carla")
        await beta.arrive(original(sender="x@mail.example"), TAGGED, reverse_path="x@mail.example")
        assert (len(beta.mailbox("carla")), len(beta.mailbox("bruno"))) == (1, 0)

    async def test_of_an_alias_too(self, beta: Provider) -> None:
        divide(beta, "+")
        beta.alias("ufficio@beta.example", "bruno")
        await beta.arrive(original(sender="x@mail.example"), "Ufficio+a+b@beta.example", reverse_path="x@mail.example")
        assert len(beta.mailbox("bruno")) == 1

    @pytest.mark.parametrize("key", ["+x@beta.example", "bruno@beta.example", "bruno+x@other.example", "bruno+x"])
    def test_what_is_none(self, beta: Provider, key: str) -> None:
        divide(beta, "+")
        assert beta.storage.read_now(lambda connection: base_of(connection, key)) is None


class TestDomains:
    async def test_a_customer_s_own_domain_and_an_international_one_are_like_ours(self, network: Network) -> None:
        """One provider, several domains: A-labels on the wire and in every receipt."""
        beta = network.providers[1]

        def add(connection: object) -> None:
            for domain in ("comune.example", "xn--citt-3na.example"):
                domains.add_domain(connection, domain, START)  # type: ignore[arg-type]

        beta.storage.write_now(add)
        for address in ("protocollo@comune.example", "ufficio@xn--citt-3na.example"):
            beta.alias(address, "bruno")
            assert await beta.check_recipient("x@mail.example", address) is RecipientAnswer.WELCOME
            await beta.arrive(original([address], sender="x@mail.example"), address, reverse_path="x@mail.example")
        assert len(beta.mailbox("bruno")) == 2

    async def test_an_address_in_letters_of_its_own_is_no_path(self, beta: Provider) -> None:
        answer = await beta.check_recipient("x@mail.example", "bruno@citt\u00e0.example")
        assert answer is RecipientAnswer.NOT_LOCAL


class TestServiceMailbox:
    """What strays there is kept, and the register says so (RC-09)."""

    async def test_an_envelope(self, beta: Provider, pen: Pen) -> None:
        await beta.arrive(pen.envelope(pen.facts([beta.service_address])), beta.service_address)
        assert beta.kinds("posta-certificata") == ["envelope"]
        assert ("deviation", "an envelope for the service mailbox: kept") in beta.events()
        assert beta.outbox() == []

    async def test_a_receipt_that_is_for_a_user(self, beta: Provider, pen: Pen) -> None:
        await beta.arrive(
            pen.delivery(pen.facts(), "bruno@beta.example"),
            beta.service_address,
            reverse_path="posta-certificata@alfa.example",
        )
        assert beta.kinds("posta-certificata") == ["delivery"]
        assert ("deviation", "delivery for the service mailbox: kept") in beta.events()

    async def test_what_belongs_there_is_no_deviation(self, beta: Provider, pen: Pen) -> None:
        raw = pen.take_charge(pen.facts(), "bruno@alfa.example", to=beta.service_address)
        await beta.arrive(raw, beta.service_address, reverse_path="posta-certificata@alfa.example")
        assert beta.kinds("posta-certificata") == ["take-charge"]
        assert "deviation" not in [event for event, _ in beta.events()]
