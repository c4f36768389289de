"""The formal checks of the access point: each row, its fault, and that all faults are named together."""

import pytest

from gateway.points.access import AccessRequest, formal_faults
from receipts.octets import Octets
from receipts.scanner import scan

GOOD = {
    "From": "Anna <anna@alfa.example>",
    "To": "Bruno <bruno@beta.example>",
    "Subject": "Perizia",
    "Message-ID": "<17@client.example>",
    "Date": "Mon, 2 Mar 2026 09:00:00 +0100",
}


def message(changes: dict[str, str | None], extra: bytes = b"") -> bytes:
    fields = {**GOOD, **changes}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return head.encode("utf-8") + extra + b"\r\ntesto\r\n"


def faults_of(
    raw: bytes,
    *,
    reverse_path: str = "anna@alfa.example",
    forward_paths: tuple[str, ...] = ("bruno@beta.example",),
    size: int | None = None,
) -> tuple[str, ...]:
    root = scan(Octets.of(raw))
    request = AccessRequest(
        header=root.header,
        reverse_path=reverse_path,
        forward_paths=forward_paths,
        size=len(raw) if size is None else size,
        max_total_bytes=30_000_000,
    )
    return tuple(fault.english for fault in formal_faults(request))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Date": None},
        {"Message-ID": None},
        {"Subject": None},
        {"Bcc": ""},
        {"From": "=?utf-8?q?Citt=C3=A0?= <anna@ALFA.example>"},
        {"To": "Gruppo: Bruno <bruno@beta.example>;"},
        {"To": "bruno@beta.example (ufficio), bruno@beta.example"},
        {"Cc": "undisclosed-recipients:;"},
    ],
)
def test_a_good_message_has_no_fault(changes: dict[str, str | None]) -> None:
    assert faults_of(message(changes)) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"From": None}, "no sender", marks=pytest.mark.req("AP-11")),
        pytest.param({"From": "anna"}, "cannot be read", marks=pytest.mark.req("AP-11")),
        pytest.param({"From": "a@alfa.example, b@alfa.example"}, "one address", marks=pytest.mark.req("AP-11")),
        pytest.param({"To": None, "Cc": "bruno@beta.example"}, "field To", marks=pytest.mark.req("AP-12")),
        pytest.param(
            {"To": "undisclosed-recipients:;", "Cc": "bruno@beta.example"}, "field To", marks=pytest.mark.req("AP-12")
        ),
        pytest.param({"To": "bruno@@beta.example"}, "field To cannot be read", marks=pytest.mark.req("AP-12")),
        pytest.param({"From": "carla@alfa.example"}, "not that of the mailbox", marks=pytest.mark.req("AP-13")),
        pytest.param({"To": "dora@beta.example"}, "hidden recipient", marks=pytest.mark.req("AP-14")),
        pytest.param({"Cc": "dora@beta.example"}, "not named for sending", marks=pytest.mark.req("AP-14")),
        pytest.param({"Bcc": "dora@beta.example"}, "blind copy", marks=pytest.mark.req("AP-15")),
        pytest.param({"Message-ID": "17"}, "Message-ID is not correct", marks=pytest.mark.req("AP-10")),
        pytest.param({"Message-ID": "<a b@c>"}, "Message-ID is not correct", marks=pytest.mark.req("AP-10")),
        pytest.param({"Message-ID": f"<{'a' * 900}@c>"}, "Message-ID is not correct", marks=pytest.mark.req("AP-10")),
        pytest.param({"Subject": "città"}, "unencoded", marks=pytest.mark.req("AP-10")),
        pytest.param({"X-Nul": "a\0b"}, "NUL", marks=pytest.mark.req("AP-10")),
    ],
)
def test_each_check_names_its_fault(changes: dict[str, str | None], words: str) -> None:
    assert any(words in fault for fault in faults_of(message(changes))), faults_of(message(changes))


@pytest.mark.req("AP-10")
@pytest.mark.parametrize("name", ["From", "To", "Cc", "Subject", "Message-ID", "Date", "Reply-To"])
def test_no_field_of_these_may_be_repeated(name: str) -> None:
    value = GOOD.get(name, "bruno@beta.example")
    twice = message({name: value}, f"{name.lower()}: {value}\r\n".encode())
    assert f"The field {name} is repeated" in faults_of(twice)


@pytest.mark.req("AP-10")
def test_a_message_without_header_is_refused() -> None:
    assert faults_of(b"\r\ntesto\r\n")[0] == "The message has no readable header"


@pytest.mark.req("AP-16")
def test_size_counts_once_for_every_recipient() -> None:
    raw = message({"To": "b@beta.example, c@beta.example, d@beta.example"})
    paths = ("b@beta.example", "c@beta.example", "d@beta.example")
    assert faults_of(raw, forward_paths=paths, size=10_000_000) == ()
    assert any("33.0 MB" in fault for fault in faults_of(raw, forward_paths=paths, size=11_000_000))


def test_address_literals_are_no_certified_addresses() -> None:
    raw = message({"To": "bruno@[127.0.0.1]"})
    assert any("not valid" in fault for fault in faults_of(raw, forward_paths=("bruno@[127.0.0.1]",)))


def test_all_faults_are_named_together() -> None:
    raw = message({"From": "carla@alfa.example", "Bcc": "x@y.example", "To": "dora@beta.example", "Subject": "è"})
    assert len(faults_of(raw)) == 5
