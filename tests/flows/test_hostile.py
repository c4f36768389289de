"""Whatever the bytes are, signed or not: an answer of the protocol, a notice or an anomaly envelope; nothing raises."""

import pytest

from gateway.flows.outcomes import NotAccepted, Taken
from gateway.storage.engine import Storage
from receipts.wire import ReceiptForm
from tests.flows.house import Provider, original
from tests.flows.pens import Pen, certifying

BRUNO = "bruno@beta.example"
LONG = "x" * 5_000

VALUES = [
    "&#10;Bcc: x@mail.example",
    "a&#13;&#10;b",
    "&#9;",
    "è€",
    "&#x1F600;",
    LONG,
    "&lt;a b&gt;",
    "\U000e0001",
    "&#x85;",
    "&#xA0;",
    "&#x2028;",
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "element",
    [
        "<mittente>anna@alfa.example",
        "<risposte>anna@alfa.example",
        "<oggetto>Perizia",
        "<gestore-emittente>Alfa PEC",
        "<msgid>&lt;17@client.example&gt;",
        "<identificativo>",
        '<destinatari tipo="certificato">bruno@beta.example',
    ],
)
async def test_strange_certification_data(beta_on_sqlite: Provider, pen: Pen, element: str, value: str) -> None:
    raw = pen.resealed(pen.envelope(), content=certifying(element, element + value))
    assert await beta_on_sqlite.arrive(raw) == Taken()
    assert beta_on_sqlite.kinds("bruno") in (["envelope"], ["anomaly"])
    assert bool(beta_on_sqlite.outbox()) is (beta_on_sqlite.kinds("bruno") == ["envelope"])


@pytest.mark.parametrize("element", ["<consegna>", "<errore-esteso>", "<identificativo>", "<msgid>", "<oggetto>"])
@pytest.mark.parametrize("value", VALUES)
async def test_strange_receipts(sqlite_storage: Storage, element: str, value: str) -> None:
    alfa = Provider("alfa.example", sqlite_storage)
    outcome = await alfa.hand_in(original())
    pen = Pen("beta.example")
    data = pen.facts([BRUNO], sender="anna@alfa.example", pec_msgid=outcome.pec_msgid)
    raw = pen.resealed(pen.non_delivery(data, BRUNO), content=certifying(element, element + value))
    assert await alfa.arrive(raw, "anna@alfa.example", reverse_path=pen.service_address) == Taken()
    assert alfa.kinds("anna")[2:] in (["non-delivery"], ["anomaly"])
    assert alfa.leaving[1:] == []


async def test_ten_thousand_recipients(beta_on_sqlite: Provider, pen: Pen) -> None:
    everybody = [f"u{number}@beta.example" for number in range(9_999)]
    raw = pen.envelope(pen.facts([BRUNO, *everybody]), original([BRUNO]))
    assert await beta_on_sqlite.arrive(raw) == Taken()
    assert beta_on_sqlite.kinds("bruno") == ["envelope"]
    too_many = pen.envelope(pen.facts([BRUNO, *everybody, "v@beta.example"]), original([BRUNO]))
    assert await beta_on_sqlite.arrive(too_many) == Taken()
    assert beta_on_sqlite.kinds("bruno") == ["envelope", "anomaly"]


def nested(depth: int) -> bytes:
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    return opened + b"Content-Type: text/plain; name=a\r\n\r\nx\r\n"


def with_parts(number: int) -> bytes:
    part = b'--b\r\nContent-Type: application/pdf; name="=?utf-8?q?a=0D=0AX-Odd:=20b?="\r\n\r\nx\r\n'
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * number + b"--b--\r\n"


ORIGINALS = {
    "no body": b"",
    "nested five hundred deep": nested(500),
    "twelve thousand parts": with_parts(12_000),
    "names with line ends": with_parts(2),
    "no end": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: a/b; name=c\r\n",
    "empty boundary": b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\nx\r\n----\r\n',
    "attached to itself": b'Content-Type: message/rfc822; name="a.eml"\r\n\r\nContent-Type: message/rfc822\r\n\r\n'
    * 50,
    "our own boundaries": b"\r\n--mx0123456789abcdef0123456789abcdef--\r\n--sg0123456789abcdef0123456789abcdef\r\n",
}


@pytest.mark.parametrize("form", list(ReceiptForm))
@pytest.mark.parametrize("name", ORIGINALS)
async def test_strange_originals_earn_every_form_of_receipt(
    beta_on_sqlite: Provider, pen: Pen, name: str, form: ReceiptForm
) -> None:
    inside = original([BRUNO], body=b"").removesuffix(b"\r\n") + ORIGINALS[name]
    assert await beta_on_sqlite.arrive(pen.envelope(pen.facts(form=form), inside)) == Taken()
    assert beta_on_sqlite.kinds("bruno") == ["envelope"]
    take_charge, delivery = beta_on_sqlite.outbox()
    assert (take_charge.row.kind, delivery.row.kind) == ("take-charge", "delivery")
    assert (b"postacert.eml" in delivery.raw) is (form is not ReceiptForm.CONCISE)


async def test_an_envelope_that_was_cut_off_is_wrapped(beta_on_sqlite: Provider, pen: Pen) -> None:
    raw = pen.envelope()
    for number, length in enumerate(range(2, len(raw) - 3, 97)):
        assert await beta_on_sqlite.arrive(raw[:length]) == Taken()
        assert beta_on_sqlite.kinds("bruno")[number] == "anomaly"
    assert beta_on_sqlite.outbox() == []


SIGNED_WITH_GARBAGE = (
    b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n--b\r\n"
    b"Content-Type: application/pkcs7-signature\r\n\r\n0\x82\xff\xff\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"no header at all",
        b"\x80\xff" * 200 + b"\r\n\r\n" + bytes(range(128, 256)),
        b"Subject: " + b"s" * 250_000 + b"\r\n\r\n",
        b"X: y\r\n" * 150_000 + b"\r\n",
        b"Subject: =?utf-8?b?" + b"4oCu" * 20_000 + b"?=\r\nFrom: =?x?q?=0D=0ABcc:?= <a@b>\r\n\r\n",
        b"From: " + b"<" * 60_000 + b"\r\nTo: " + b"(" * 60_000 + b'\r\nCc: "\r\nReply-To: ;;;\r\n\r\nx',
        b"Message-ID: <" + b"m" * 70_000 + b">\r\n\r\n",
        b"X-Trasporto: posta-certificata\r\nX-Ricevuta: accettazione\r\n\r\n",
        SIGNED_WITH_GARBAGE,
    ],
    ids=lambda raw: f"{len(raw)} bytes {raw[:12]!r}",
)
class TestBytesThatAreNoMail:
    async def test_from_outside_come_wrapped(self, beta_on_sqlite: Provider, raw: bytes) -> None:
        assert await beta_on_sqlite.arrive(raw, reverse_path="x@mail.example") == Taken()
        [stored] = beta_on_sqlite.mailbox("bruno")
        assert stored.kind == "anomaly"
        assert (stored.certified.original or b"").endswith(raw)

    async def test_from_a_holder_are_not_accepted(self, beta_on_sqlite: Provider, raw: bytes) -> None:
        outcome = await beta_on_sqlite.hand_in(raw, "anna@alfa.example", sender="bruno")
        assert isinstance(outcome, NotAccepted)
        [stored] = beta_on_sqlite.mailbox("bruno")
        assert stored.certified.type == "non-accettazione"
        assert beta_on_sqlite.outbox() == []
