"""Tests of Sieve scripts: what holds of one message, and what does not (RFC 5228 section 5 and extensions)."""

import pytest

from tests.points.sieve.letters import MAIL, ask, mail

REQUIRE = (
    'require ["fileinto", "envelope", "relational", "comparator-i;ascii-numeric", "date", "imap4flags",'
    ' "mailbox", "subaddress", "enotify", "vnd.ceralacca.certified"];'
)

HOLDS = [
    "true",
    "not false",
    "allof(true, true)",
    "anyof(false, true)",
    "not allof(true, false)",
    "not anyof(false, false)",
    "size :over 4K",
    "size :under 5001",
    "not size :over 5000",
    "not size :under 5000",
    'exists "subject"',
    'exists ["FROM", "to"]',
    'not exists ["from", "x-nothing"]',
    'exists "x-vuoto"',
    'header "Subject" "perizia N° 12 *URGENTE*"',
    'header :contains "subject" "PERIZIA"',
    'not header :contains :comparator "i;octet" "subject" "PERIZIA"',
    'not header :is "subject" "perizia"',
    'header :matches "subject" "*n° ?2*"',
    'header :matches "subject" "*"',
    'header :matches "subject" "* \\\\*urgente\\\\*"',
    'not header :matches "subject" "*\\\\*fattura*"',
    'header :is "x-due" "due"',
    'header :is ["x-nothing", "x-due"] ["tre", "uno"]',
    'header :is "x-vuoto" ""',
    'header :contains "x-vuoto" ""',
    'not header :contains "x-nothing" ""',
    'header :matches "x-vuoto" "*"',
    'header :value "gt" :comparator "i;ascii-numeric" "x-punti" "9"',
    'not header :value "gt" "x-punti" "9"',  # as texts, "12" comes before "9"
    'header :value "lt" :comparator "i;ascii-numeric" "x-punti" "keine Zahl"',
    'header :count "eq" "x-due" "2"',
    'header :count "ge" :comparator "i;ascii-numeric" ["x-due", "x-vuoto"] "3"',
    'header :count "eq" "x-nothing" "0"',
    'address "from" "anna.rossi@alfa.example"',
    'address :is :domain "from" "ALFA.example"',
    'address :localpart "from" "anna.rossi"',
    'address :all :contains ["to", "cc"] "dario@"',
    'address :user "to" "bruno"',
    'address :detail "to" "fatture"',
    'not address :detail "from" ""',
    'address :count "eq" ["to", "cc"] "3"',
    'not address :contains "from" "rossi <"',
    'envelope "from" "anna.rossi@alfa.example"',
    'envelope :domain "to" "beta.example"',
    'envelope :detail "to" "fatture"',
    'date :is "date" "date" "2026-11-22"',
    'date :is "date" "hour" "05"',
    'date :zone "+0200" "date" "hour" "07"',
    'date :zone "-0600" "date" "date" "2026-11-21"',
    'date :is "date" "weekday" "0"',
    'date :originalzone "received" "zone" "+0100"',
    'date :is "received" "time" "05:30:00"',
    'date "date" "julian" "61366"',
    'date "date" "iso8601" "2026-11-22T05:59:58Z"',
    'not date "x-punti" "year" "0012"',
    'currentdate :value "ge" "date" "2026-11-22"',
    'currentdate :is "iso8601" "2026-11-22T06:00:00Z"',
    'currentdate :zone "+0130" "minute" "30"',
    'currentdate :matches "std11" "Sun, 22 Nov 2026*"',
    'mailboxexists "Perizie"',
    'not mailboxexists ["Perizie", "Altro"]',
    'valid_notify_method "mailto:anna@mail.example"',
    'not valid_notify_method ["mailto:anna@mail.example", "tel:+39"]',
    'notify_method_capability "mailto:a@b.example" "Online" "maybe"',
    'not notify_method_capability "mailto:a@b.example" "Online" "yes"',
    'certified "kind" "envelope"',
    'certified "kind" "certified"',
    'certified "kind" ["receipt", "Certified"]',
    'not certified "kind" ["ordinary", "receipt", "notice"]',
    'certified :contains "signer" "alfa pec"',
    'certified :matches "sender" "*@alfa.example"',
    'certified "recipient" "carla@beta.example"',
    'certified "subject" "perizia n. 12"',
]


@pytest.mark.parametrize("test", HOLDS)
def test_a_test_that_holds(test: str) -> None:
    assert ask(f'{REQUIRE} if {test} {{ fileinto "Si"; }}').folder == "Si"


@pytest.mark.parametrize(
    ("kind", "group"),
    [
        ("envelope", "certified"),
        ("anomaly", "ordinary"),
        ("ordinary", "ordinary"),
        ("acceptance", "receipt"),
        ("delivery", "receipt"),
        ("non-acceptance", "notice"),
        ("non-delivery", "notice"),
        ("timeout", "notice"),
        ("virus", "notice"),
    ],
)
def test_each_kind_has_its_own_name_and_that_of_its_group(kind: str, group: str) -> None:
    for name in (kind, group):
        script = f'{REQUIRE} if certified "kind" "{name}" {{ fileinto "Si"; }}'
        assert ask(script, mail(kind=kind)).folder == "Si"
    others = {"certified", "ordinary", "receipt", "notice"} - {group}
    for name in others:
        assert ask(f'{REQUIRE} if certified "kind" "{name}" {{ fileinto "Si"; }}', mail(kind=kind)).folder is None


def test_the_null_reverse_path_is_an_empty_text() -> None:
    script = REQUIRE + 'if envelope :localpart "from" "" { fileinto "Nullo"; }'
    assert ask(script, mail(reverse_path="")).folder == "Nullo"
    assert ask(script, MAIL).folder is None


@pytest.mark.parametrize(
    "value",
    ["", "gestern", "Sun, 99 Nov 2026 99:99:99 +0000", "x" * 10_000, "\0", "12"],
)
def test_a_date_that_is_none_matches_nothing(value: str) -> None:
    raw = f"Date: {value}\r\n\r\n".encode()
    assert ask(REQUIRE + 'if date :matches "date" "year" "*" { fileinto "Si"; }', mail(raw)).folder is None


@pytest.mark.parametrize("value", ["1 Jan 0101 00:00:00 +2359", "31 Dec 9999 23:59:59 -2359"])
def test_a_date_at_the_edge_of_the_calendar_is_a_date(value: str) -> None:
    raw = f"Date: {value}\r\n\r\n".encode()
    script = REQUIRE + 'if date :zone "-2300" :matches "date" "iso8601" "*" { fileinto "Si"; }'
    assert ask(script, mail(raw)).folder in ("Si", None)
