"""Certification data: what is written is valid and read back; what is hostile is refused, never worse."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from receipts.daticert import DaticertError, read_daticert, write_daticert
from receipts.facts import CertificationData, Recipient
from receipts.wire import CertificationType, ErrorKind, ReceiptForm, RecipientKind
from tests.fuzz.addresses import ADDRESSES

__all__ = ["FACTS", "certification", "certification_bytes"]

DTD = etree.DTD(str(Path(__file__).parents[1] / "receipts" / "postacert.dtd"))

LINES = st.text(st.characters(min_codepoint=33, exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=20)
SUBJECTS = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=40)
LOCAL_TIMES = st.builds(
    lambda seconds, quarters: datetime.fromtimestamp(seconds, timezone(timedelta(minutes=15 * quarters))),
    st.integers(946684800, 4102444800),
    st.integers(-92, 92),
)
IDS = st.from_regex(r"[!-;=?-~]{1,40}", fullmatch=True)

FACTS = st.builds(
    CertificationData,
    type=st.sampled_from(CertificationType),
    error=st.sampled_from(ErrorKind),
    sender=ADDRESSES,
    recipients=st.lists(
        st.builds(Recipient, address=ADDRESSES, kind=st.sampled_from(RecipientKind)), min_size=1, max_size=4
    ).map(tuple),
    reply_to=st.one_of(st.just(""), ADDRESSES),
    subject=st.none() | SUBJECTS,
    provider=LINES,
    at=LOCAL_TIMES,
    pec_msgid=IDS,
    msgid=st.none() | IDS.map("<{}>".format),
    receipt_form=st.none() | st.sampled_from(ReceiptForm),
    delivered_to=st.none() | ADDRESSES,
    taken_for=st.lists(ADDRESSES, max_size=3).map(tuple),
    error_text=st.none() | LINES,
)
FRAGMENTS = (
    *(b"<", b">", b"/>", b"</", b"&", b"&lt;", b"&#0;", b"&#10;", b"&#xFFFF;", b"&x;", b'"', b"'", b"<!--", b"-->"),
    *(b"<![CDATA[", b"]]>", b"<!DOCTYPE postacert [", b'<!ENTITY x "y">', b"]>", b"<?xml version='1.0'?>", b"<?p ?>"),
    *(
        b"<dati>",
        b"</dati>",
        b"<postacert>",
        b"</postacert>",
        b"<data zona='+2460'>",
        b"\xff",
        b"\x00",
        b"\xef\xbb\xbf",
    ),
    *(b"postacert", b"tipo", b"nessuno", b"99/99/9999", b"24:00:60", b"-9999", b"destinatari", b" ", b"\r\n"),
)


@given(FACTS)
def certification(facts: CertificationData) -> None:
    written = write_daticert(facts)
    assert read_daticert(written) == facts
    assert DTD.validate(etree.fromstring(written)), DTD.error_log


@given(FACTS, st.lists(st.tuples(st.integers(0), st.integers(0, 30), st.sampled_from(FRAGMENTS)), max_size=4))
def certification_bytes(facts: CertificationData, changes: list[tuple[int, int, bytes]]) -> None:
    data = write_daticert(facts)
    for place, length, fragment in changes:
        at = place % (len(data) + 1)
        data = data[:at] + fragment + data[at + length :]
    try:
        read = read_daticert(data)
    except DaticertError:
        return
    assert read.at.astimezone(UTC)
    assert read_daticert(write_daticert(read)) == read
