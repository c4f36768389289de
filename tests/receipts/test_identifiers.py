"""Addresses and message ids: what is one, and when two are the same."""

import time

import pytest

from receipts.identifiers import (
    AddressFault,
    AddressList,
    address_key,
    domain_of,
    is_msgid,
    is_smtp_address,
    parse_address_list,
    parse_mailbox,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("anna@alfa.example", "ANNA@Alfa.Example"),
        ('"anna"@alfa.example', "anna@alfa.example"),
        ('"an\\na"@alfa.example', "anna@alfa.example"),
        ('"a b"@alfa.example', '"A B"@alfa.example'),
        ('"a\\ \\"b"@alfa.example', '"a \\"b"@alfa.example'),
        ("anna@bücher.example", "anna@XN--BCHER-KVA.example"),
    ],
)
def test_two_spellings_of_one_address_have_one_key(one: str, other: str) -> None:
    assert address_key(one) == address_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("anna@alfa.example", "anna@beta.example"),
        ("anna@alfa.example", "anna@sub.alfa.example"),
        ("anna@alfa.example", "a.nna@alfa.example"),
        ('"a b"@alfa.example', "ab@alfa.example"),
    ],
)
def test_different_addresses_have_different_keys(one: str, other: str) -> None:
    assert address_key(one) != address_key(other)


def test_the_domain_is_what_follows_the_last_at() -> None:
    assert domain_of('"anna@beta.example"@Alfa.Example') == "alfa.example"
    assert domain_of("anna@bücher.example") == "xn--bcher-kva.example"
    assert domain_of("anna") == ""


@pytest.mark.parametrize("domain", ["\u2028" * 40, "è" * 300, "a..è", "."])
def test_a_domain_that_cannot_be_encoded_is_compared_as_it_is(domain: str) -> None:
    assert domain_of(f"anna@{domain}") == domain


@pytest.mark.parametrize(
    "address",
    [
        "anna@alfa.example",
        "a.b+c=d@alfa.example",
        "o'brien@a-b.example",
        '"a b"@alfa.example',
        '"a\\"b@c"@alfa.example',
        "x@example",
        "a" * 64 + "@alfa.example",
    ],
)
def test_takes_the_address(address: str) -> None:
    assert is_smtp_address(address)
    assert parse_mailbox(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "anna",
        "@alfa.example",
        "anna@",
        "anna@[127.0.0.1]",
        "anna@alfa.example.",
        "anna@-alfa.example",
        "anna@alfa..example",
        ".anna@alfa.example",
        "anna.@alfa.example",
        "a b@alfa.example",
        "anna@alfa.example\r\n",
        "anna@alfa.example\n",
        '"a\r\nb"@alfa.example',
        "<anna@alfa.example>",
        "@x,@y:anna@alfa.example",
        "è@alfa.example",
        "anna@è.example",
        "a" * 65 + "@alfa.example",
        "anna@" + "a" * 64 + ".example",
        "anna@" + "a." * 125 + "example",
    ],
)
def test_refuses_the_address(address: str) -> None:
    assert not is_smtp_address(address)


@pytest.mark.req("MID-05")
@pytest.mark.parametrize(
    "msgid",
    [
        "<1@client.example>",
        "<opec288.20181120100000.01838.310.1.63@pec.aruba.it>",
        "<2B1F7C-7.posta-certificata@legalmail.example>",
        "<no-at-sign>",
        '<"quoted"@[127.0.0.1]>',
        "<" + "a" * 896 + "@b>",
    ],
)
def test_reads_the_message_id(msgid: str) -> None:
    assert is_msgid(msgid)


@pytest.mark.parametrize(
    "msgid", ["", "<>", "1@a.example", "<1@a.example> ", "<1 @a.example>", "<1@a><2@a>", "<è@a>", "<" + "a" * 900 + ">"]
)
def test_refuses_the_message_id(msgid: str) -> None:
    assert not is_msgid(msgid)


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        (b" anna@alfa.example", ["anna@alfa.example"]),
        (b" Anna Rossi <anna@alfa.example>", ["anna@alfa.example"]),
        (b' "Rossi, Anna" <anna@alfa.example>,\r\n\tbruno@beta.example', ["anna@alfa.example", "bruno@beta.example"]),
        (b"=?utf-8?q?Niccol=C3=B2?= <n@alfa.example>", ["n@alfa.example"]),
        (b"Niccol\xc3\xb2 <n@alfa.example>", ["n@alfa.example"]),
        (b"J. Q. Public <j@alfa.example>", ["j@alfa.example"]),
        (b"anna@alfa.example (Anna (at \\) work), <x@y>)", ["anna@alfa.example"]),
        (b"(c) anna (c) @ (c) alfa.example (c)", ["anna@alfa.example"]),
        (b'"a b"@alfa.example', ['"a b"@alfa.example']),
        (b"Board: a@b.example, Bruno <b@b.example>;, c@d.example", ["a@b.example", "b@b.example", "c@d.example"]),
        (b"undisclosed-recipients:;", []),
        (b'"Per conto di: a@b.example" <posta-certificata@alfa.example>', ["posta-certificata@alfa.example"]),
    ],
)
def test_reads_the_list(value: bytes, addresses: list[str]) -> None:
    assert parse_address_list(value) == AddressList(tuple(addresses))


@pytest.mark.parametrize(
    ("value", "addresses", "fault"),
    [
        (b"", [], AddressFault.EMPTY),
        (b" \r\n ", [], AddressFault.EMPTY),
        (b"(nobody)", [], AddressFault.EMPTY),
        (b"a@b.example,", ["a@b.example"], AddressFault.MISSING),
        (b"a@b.example,,c@d.example", ["a@b.example", "c@d.example"], AddressFault.MISSING),
        (b"Group: a@b.example,;", ["a@b.example"], AddressFault.MISSING),
        (b"anna", [], AddressFault.BAD_ADDRESS),
        (b"Anna <anna>", [], AddressFault.BAD_ADDRESS),
        (b"<>", [], AddressFault.BAD_ADDRESS),
        (b"anna rossi@alfa.example", [], AddressFault.BAD_ADDRESS),
        (b"anna@alfa.example bruno@beta.example", [], AddressFault.BAD_ADDRESS),
        (b"<@x.example:anna@alfa.example>", [], AddressFault.BAD_ADDRESS),
        (b"ni\xc3\xb2@alfa.example", [], AddressFault.BAD_ADDRESS),
        (b"anna@[127.0.0.1]", [], AddressFault.LITERAL),
        (b"x <anna@[127.0.0.1]>, b@c.example", ["b@c.example"], AddressFault.LITERAL),
        (b"anna@alfa.example (Anna", [], AddressFault.UNCLOSED_COMMENT),
        (b"Anna <anna@alfa.example", ["anna@alfa.example"], AddressFault.UNCLOSED_ANGLE),
        (b"Group: a@b.example", ["a@b.example"], AddressFault.UNCLOSED_GROUP),
        (b'"Anna <anna@alfa.example>', [], AddressFault.BAD_CHARACTER),
        (b"anna@alfa.example <anna@alfa.example>", ["anna@alfa.example"], AddressFault.BAD_CHARACTER),
        (b"Anna <anna@alfa.example> Rossi", ["anna@alfa.example"], AddressFault.BAD_CHARACTER),
        (b"a@b.example; c@d.example", ["a@b.example"], AddressFault.BAD_CHARACTER),
        (b"a@b.example\x00", ["a@b.example"], AddressFault.BAD_CHARACTER),
        (b"a@b.example) x", ["a@b.example"], AddressFault.BAD_CHARACTER),
    ],
)
def test_names_the_fault_of_the_list(value: bytes, addresses: list[str], fault: AddressFault) -> None:
    found = parse_address_list(value)
    assert fault in found.faults
    assert found.addresses == tuple(addresses)


@pytest.mark.parametrize("text", ["", "anna", "a@b.example, c@d.example", "Group: a@b.example, c@d.example;", "x:;"])
def test_one_mailbox_is_exactly_one(text: str) -> None:
    assert parse_mailbox(text) is None
    assert parse_mailbox(" Anna <anna@alfa.example> ") == "anna@alfa.example"


@pytest.mark.parametrize(
    "piece", [b",", b"(", b"()", b'"', b'"\\', b"<", b">", b"a:", b"a:;", b"@", b"a@b,", b"a ", b"[", b" ", b"a<b@c>d"]
)
def test_reading_takes_time_in_proportion_to_the_length(piece: bytes) -> None:
    start = time.process_time()
    parse_address_list(piece * (256 * 1024 // len(piece)))
    assert time.process_time() - start < 30
