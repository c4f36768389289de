"""What real providers do otherwise than RFC 6109 says: forgiven, registered, and answered with a receipt (D3)."""

import base64
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.flows.outcomes import Taken
from gateway.storage.engine import Storage
from receipts.wire import ErrorKind
from tests.flows.credentials import other_signer
from tests.flows.house import Provider, original
from tests.flows.pens import Change, Pen, altered, certifying, in_turn

BRUNO = "bruno@beta.example"
EIGHT_BIT = original(body="Così è, perché sì.\r\n".encode(), extra="Content-Type: text/plain; charset=utf-8")
POSTACERT = 'Content-Type: message/rfc822; name="postacert.eml"'


@pytest.fixture
def storage(sqlite_storage: Storage) -> Storage:
    """What is forgiven does not depend on the database."""
    return sqlite_storage


def same(data: bytes) -> bytes:
    return data


def reordered(content: bytes) -> bytes:
    """Original before text."""
    boundary = b"\r\n--" + content[content.index(b'boundary="mx') + 10 :].partition(b'"')[0]
    head, text, data, message, close = content.split(boundary)
    return boundary.join((head, message, data, text, close))


def in_base64(content: bytes) -> bytes:
    """The original encoded, which MIME forbids."""
    head, _, rest = content.partition(b"Content-Transfer-Encoding: 7bit\r\n\r\nReceived:")
    body, end, close = rest.rpartition(b"\r\n--mx")
    coded = base64.encodebytes(b"Received:" + body).strip().replace(b"\n", b"\r\n")
    return head + b"Content-Transfer-Encoding: base64\r\n\r\n" + coded + end + close


def one_language(content: bytes) -> bytes:
    """Plain text alone in place of the alternative."""
    start, stop = content.index(b"Content-Type: multipart/alternative"), content.index(b"\r\n--mx", 200)
    text = b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nMessaggio di posta certificata\r\n"
    return content[:start] + text + content[stop:]


@dataclass(frozen=True)
class Deviation:
    headers: Change = same
    content: Change = same
    raw: bytes = original()
    registered: bool = True


DEVIATIONS = {
    "text in one language": Deviation(content=one_language, registered=False),
    "text in UTF-8": Deviation(content=altered("charset=iso-8859-1", "charset=utf-8")),
    "header name recased": Deviation(headers=altered("X-TipoRicevuta", "X-Tiporicevuta")),
    "marker recased": Deviation(headers=altered("X-Trasporto", "X-TRASPORTO")),
    "X-TipoRicevuta left out": Deviation(headers=altered("X-TipoRicevuta: completa\r\n", "")),
    "X-TipoRicevuta differs from the signed form": Deviation(headers=altered("completa", "sintetica")),
    "empty risposte": Deviation(
        content=certifying("<risposte>anna@alfa.example</risposte>", "<risposte></risposte>"), registered=False
    ),
    "labelled 7bit with 8-bit content": Deviation(
        content=altered("Transfer-Encoding: 8bit\r\n\r\nReceived", "Transfer-Encoding: 7bit\r\n\r\nReceived"),
        raw=EIGHT_BIT,
        registered=False,
    ),
    "extra headers": Deviation(
        headers=lambda outer: b"X-Attachment: yes\r\nX-REM-Subject: REM: x\r\n" + outer, registered=False
    ),
    "Reply-To always set": Deviation(registered=False),
    "subject without prefix": Deviation(headers=altered("POSTA CERTIFICATA: ", "")),
    "another Message-ID": Deviation(headers=altered("Message-ID: <", "Message-ID: <opec288.")),
    "another reference": Deviation(headers=altered("<17@client.example>", "<18@client.example>")),
    "original named otherwise": Deviation(content=altered('name="postacert.eml"', 'name="messaggio.eml"')),
    "certdata.xml": Deviation(
        content=in_turn(
            altered('name="daticert.xml"', 'name="certdata.xml"'),
            altered('filename="daticert.xml"', 'filename="certdata.xml"'),
        )
    ),
    "original first": Deviation(content=reordered),
    "original encoded": Deviation(content=in_base64),
    "unknown elements": Deviation(
        content=certifying("</dati>", "<estensione><a>1</a></estensione></dati>"), registered=False
    ),
    "service word in capitals": Deviation(
        headers=altered("X-Trasporto: posta", "X-Trasporto: Posta"), registered=False
    ),
}


async def takes(beta: Provider, raw: bytes, *, reverse_path: str = "anna@alfa.example") -> None:
    assert await beta.arrive(raw, reverse_path=reverse_path) == Taken()
    assert beta.kinds("bruno") == ["envelope"]
    assert beta.mailbox("bruno")[0].raw.endswith(raw)
    assert [post.row.kind for post in beta.outbox()] == ["take-charge", "delivery"]
    assert beta.outbox()[1].certified.said("consegna") == BRUNO


@pytest.mark.edge("A1")
@pytest.mark.req("IP-04", "HDR-08")
@pytest.mark.parametrize("name", DEVIATIONS)
async def test_it_ends_in_a_delivery_receipt(beta: Provider, pen: Pen, name: str) -> None:
    deviation = DEVIATIONS[name]
    raw = pen.resealed(pen.envelope(raw=deviation.raw), headers=deviation.headers, content=deviation.content)
    await takes(beta, raw)
    registered = [row for row in beta.register() if row.event == "deviation"]
    assert bool(registered) is deviation.registered
    receipt = beta.outbox()[1].certified
    assert receipt.form == "completa"
    assert receipt.parts[-1] == "message/rfc822"
    inside = re.split(rb"\r\n\r\n", deviation.raw, maxsplit=1)[1]
    assert (receipt.original or b"").endswith(inside)


@pytest.mark.req("IP-05")
async def test_a_service_domain_that_is_not_the_mailbox_s(beta: Provider) -> None:
    """Gamma signs as posta-certificata@servizio.gamma.example, a domain it does not even list."""
    gamma = Pen("gamma.example")
    await takes(beta, gamma.envelope(), reverse_path="anna@gamma.example")


@pytest.mark.req("SIG-05", "SIG-06", "SIG-07")
@pytest.mark.parametrize("options", [("-md", "sha1"), ("-md", "sha256", "-stream"), ("-md", "sha1", "-nosmimecap")])
async def test_signatures_as_openssl_makes_them(
    beta: Provider, pen: Pen, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """SHA-1, indefinite length, and the old name of the signature's type."""
    await takes(beta, pen.sealed_by_openssl(pen.envelope(), tmp_path, *options))


async def test_another_s_signature_over_the_same_is_none(beta: Provider, pen: Pen) -> None:
    """The counter-test: it is the seal that counts, not how well the message is made."""
    raw = pen.resealed(pen.envelope(), signer=other_signer("alfa.example", "stranger"))
    await beta.arrive(raw)
    assert beta.kinds("bruno") == ["anomaly"]


async def test_a_notice_that_says_altro_for_an_unknown_mailbox_counts(alfa: Provider) -> None:
    outcome = await alfa.hand_in(original())
    beta = Pen("beta.example")
    data = beta.facts([BRUNO], sender="anna@alfa.example", pec_msgid=outcome.pec_msgid)
    raw = beta.non_delivery(data, BRUNO, error=ErrorKind.OTHER)
    await alfa.arrive(raw, "anna@alfa.example", reverse_path=beta.service_address)
    assert alfa.states(outcome.pec_msgid) == {BRUNO: "failed"}
    recipient = alfa.sent(outcome.pec_msgid).recipient(BRUNO)
    assert recipient is not None
    assert recipient.end_detail == "5.1.1 - Beta PEC - indirizzo non valido"
