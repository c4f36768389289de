"""The readable texts: their fields, the two languages, and the rule for characters outside Latin-1."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html import unescape
from html.parser import HTMLParser

import pytest

from receipts.facts import CertificationData, Deadline, Recipient
from receipts.texts import ReadableText, anomaly_text, text_of
from receipts.wire import CertificationType, MessageKind, ReceiptForm, RecipientKind
from tests.receipts.golden import Words

DATA = CertificationData(
    type=CertificationType.DELIVERY,
    sender="anna@alfa.example",
    recipients=(
        Recipient(address="bruno@beta.example", kind=RecipientKind.CERTIFIED),
        Recipient(address="dora@mail.example", kind=RecipientKind.EXTERNAL),
    ),
    reply_to="anna@alfa.example",
    subject="Perizia n. 12",
    provider="Alfa PEC",
    at=datetime(2025, 7, 3, 9, 1, 7, tzinfo=timezone(timedelta(hours=2))),
    pec_msgid="abc@alfa.example",
    delivered_to="bruno@beta.example",
)
KINDS = [kind for kind in MessageKind if kind is not MessageKind.ANOMALY]


def anomaly(subject: str | None = "Saluti", reason: Words | None = None) -> ReadableText:
    return anomaly_text(
        at=DATA.at,
        subject=subject,
        sender="dora@mail.example",
        recipients=["bruno@beta.example"],
        reason=reason or Words("posta ordinaria", "ordinary mail"),
    )


def plain(text: ReadableText) -> str:
    return text.plain.decode("iso-8859-1")


def subject_shown(subject: str) -> tuple[str, str]:
    text = text_of(MessageKind.DELIVERY, replace(DATA, subject=subject))
    page = text.html.decode("iso-8859-1")
    return plain(text).splitlines()[3], unescape(page).splitlines()[8].removesuffix("<br>")


@pytest.mark.req("TIM-03")
@pytest.mark.parametrize("kind", KINDS)
def test_every_text_says_when_what_from_whom_and_which(kind: MessageKind) -> None:
    italian, english = plain(text_of(kind, DATA)).split("-" * 60)
    assert "Il giorno 03/07/2025 alle ore 09:01:07 (+0200) " in italian
    assert "On 03/07/2025 at 09:01:07 (+0200) " in english
    for text in (italian, english):
        assert '"Perizia n. 12"\r\n' in text
        assert '"anna@alfa.example"\r\n' in text
        assert "bruno@beta.example" in text
    assert "Identificativo messaggio: abc@alfa.example\r\n" in italian
    assert "Message identifier: abc@alfa.example\r\n" in english


@pytest.mark.req("AP-21")
def test_the_acceptance_text_tells_the_kind_of_each_recipient() -> None:
    italian, english = plain(text_of(MessageKind.ACCEPTANCE, DATA)).split("-" * 60)
    assert 'bruno@beta.example ("posta certificata")\r\n' in italian
    assert 'dora@mail.example ("posta ordinaria")\r\n' in italian
    assert 'bruno@beta.example ("certified mail")\r\n' in english


@pytest.mark.parametrize(
    "kind",
    [
        MessageKind.DELIVERY,
        MessageKind.NON_DELIVERY,
        MessageKind.NON_DELIVERY_VIRUS,
        MessageKind.TIMEOUT,
        MessageKind.VIRUS,
    ],
)
def test_a_text_about_one_recipient_names_no_other(kind: MessageKind) -> None:
    assert "dora@mail.example" not in plain(text_of(kind, DATA))
    with pytest.raises(ValueError):
        text_of(kind, replace(DATA, delivered_to=None))


def test_each_form_of_delivery_receipt_has_its_title() -> None:
    titles = [plain(text_of(MessageKind.DELIVERY, DATA, form=form)).splitlines()[0] for form in ReceiptForm]
    assert titles == [
        "Ricevuta di avvenuta consegna",
        "Ricevuta breve di avvenuta consegna",
        "Ricevuta sintetica di avvenuta consegna",
    ]


@pytest.mark.req("TIM-11", "TIM-12")
def test_the_two_timeout_notices_say_what_the_law_has_them_say() -> None:
    first, second = (plain(text_of(MessageKind.TIMEOUT, DATA, deadline=deadline)) for deadline in Deadline)
    for text in (first, second):
        assert text.startswith("Avviso di mancata consegna\r\n")
    assert "non è stato consegnato nelle prime 12 ore dal suo invio" in first
    assert "un ulteriore avviso di mancata consegna" in first
    assert "has not been delivered within the first 12 hours following its dispatch" in first
    assert "non è stato consegnato entro 24 ore dal suo invio" in second
    assert "conclusa con esito negativo" in second
    assert "has not been delivered within 24 hours of its dispatch" in second
    assert "ulteriore" not in second


def test_the_anomaly_text_holds_the_phrase_that_programs_search_for_and_no_identifier() -> None:
    text = plain(anomaly())
    assert "\r\nI dati non sono stati certificati per il seguente errore:\r\nposta ordinaria\r\n" in text
    assert "Identificativo" not in text
    assert "identifier" not in text


def test_every_reason_is_told_in_both_languages() -> None:
    reasons = [Words("primo", "first"), Words("secondo", "second")]
    italian, english = plain(text_of(MessageKind.NON_ACCEPTANCE, DATA, reasons=reasons)).split("-" * 60)
    assert "a causa di:\r\n- primo\r\n- secondo\r\nIl messaggio non è stato accettato." in italian
    assert "due to:\r\n- first\r\n- second\r\nThe message was not accepted." in english


def test_the_error_text_stands_in_for_reasons() -> None:
    text = text_of(MessageKind.NON_DELIVERY, replace(DATA, error_text="5.1.1 - Beta - indirizzo non valido"))
    assert plain(text).count("\r\n5.1.1 - Beta - indirizzo non valido\r\n") == 2


@pytest.mark.edge("O14")
@pytest.mark.req("RC-02")
@pytest.mark.parametrize(
    ("subject", "nearest"),
    [
        ("Così è", '"Così è"'),
        ("‘a’ “b” – — …", '"\'a\' "b" - - ..."'),
        ("100 € ™", '"100 EUR (TM)"'),
        ("Łódź Šibenik Đ œ", '"Lódz Sibenik D oe"'),
        ("cafe\u0301", '"café"'),
        ("日本", '"??"'),
        ("\U0001f4e7", '"?"'),
    ],
)
def test_what_is_outside_latin_1_becomes_its_nearest_form_and_is_exact_in_html(subject: str, nearest: str) -> None:
    shown, page = subject_shown(subject)
    assert shown == nearest
    assert page == f'"{subject}"'


def test_a_subject_cannot_turn_the_direction_or_begin_a_line() -> None:
    shown, page = subject_shown("a\u202eb\r\nIdentificativo messaggio: falso\x85c")
    assert shown == '"a?b Identificativo messaggio: falso c"'
    assert page == '"a\ufffdb Identificativo messaggio: falso c"'


class Page(HTMLParser):
    """Collects tags, attributes and the words of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words += data.split()


@pytest.mark.req("RC-03", "SEC-07")
@pytest.mark.parametrize("kind", KINDS)
def test_the_html_refers_to_nothing_runs_nothing_and_says_the_same(kind: MessageKind) -> None:
    hostile = '</p><script src="//x.example/a.js">x</script><img src=x onerror=y><a href="//x">z</a>&amp;'
    text = text_of(kind, replace(DATA, subject=hostile, pec_msgid="<b>@alfa.example", sender='"<i>"@alfa.example'))
    page = Page()
    page.feed(text.html.decode("iso-8859-1"))
    assert page.tags <= {"html", "head", "title", "body", "div", "h3", "p", "br", "hr"}
    assert page.attributes <= {"lang"}
    title = plain(text).splitlines()[0].split()
    assert page.words == [*title, *[word for word in plain(text).split() if word != "-" * 60]]


def test_a_message_without_subject_shows_empty_quotes() -> None:
    assert '\r\n""\r\n' in plain(text_of(MessageKind.ACCEPTANCE, replace(DATA, subject=None)))
    assert '\r\n""\r\n' in plain(anomaly(subject=None))
