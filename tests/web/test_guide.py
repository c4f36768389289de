"""The page that helps holders to set a mail program up: byte for byte, and as a parser of HTML reads it."""

import base64
import dataclasses
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path

import pytest
from lxml import html
from lxml.html import HtmlElement

from gateway.web.setup.asked import Asked, Finding, Program, asked
from gateway.web.setup.guide import guide
from gateway.web.setup.languages import LANGUAGES, preferred
from gateway.web.setup.servers import MailServers
from gateway.web.setup.style import POLICY, STYLE
from gateway.web.setup.wording import WORDS, Way
from tests.web.golden import OURS, SERVERS, built, cases, question

ALFA = MailServers(provider="Alfa PEC", short_name="Alfa", servers=SERVERS)
each_case = pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
HOSTILE = (
    "<script>alert(1)</script>@alfa.example",
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)' autofocus='",
    "</title></style><h1>{provider}{0}%s",
    "javascript:alert(1)//@alfa.example",
    "a&amp;b&lt;c",
    "\0\x1b[31m\u202eelpmaxe.afla@anna\r\nX-Header: 1",
    "\ud800@alfa.example",
    "a" * 100_000,
    "@" * 10_000,
    "è" * 5_000 + "@alfa.example",
    '"<b>anna</b>"@alfa.example',  # which is an address
)


def page(address: str, *, program: Program = Program.THUNDERBIRD, language: str = "it") -> HtmlElement:
    """As a browser reads it."""
    return read(guide(ALFA, ask(address=address, program=program, language=language)))


def ask(*, accept_language: str = "", **fields: str) -> Asked:
    return asked(fields, accept_language, OURS.__contains__)


def read(data: bytes) -> HtmlElement:
    return html.fromstring(data, parser=html.HTMLParser(encoding="utf-8"))


@each_case
def test_the_page_is_the_golden_one(case: Path) -> None:
    assert built(case) == (case / "expected.html").read_bytes()


@each_case
def test_nothing_comes_from_elsewhere_and_nothing_runs(case: Path) -> None:
    root = read(built(case))
    assert {one.tag for one in root.iter()} <= {
        *("html", "head", "meta", "title", "style", "body", "header", "nav", "main", "section", "h1", "h2", "h3"),
        *("p", "a", "b", "span", "form", "label", "input", "fieldset", "legend", "button", "ol", "ul", "li"),
        *("div", "table", "caption", "tr", "th", "td", "details", "summary"),
    }
    names = {name for one in root.iter() for name in one.attrib}
    assert not {name for name in names if name.startswith("on")} | names & {"src", "srcset", "style", "formaction"}
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    targets = {one.get("href") or one.get("action") for one in root.iter("a", "form")}
    assert all(re.match(r"/(setup|mobileconfig)[?#]|https://alfa\.example/help", target or "") for target in targets)


@each_case
def test_it_can_be_used_without_seeing_it(case: Path) -> None:
    root = read(built(case))
    assert root.get("lang") == question(case).language
    assert len(root.findall(".//main")) == len(root.findall(".//h1")) == len(root.findall(".//nav")) == 1
    assert all(nav.get("aria-label") for nav in root.iter("nav"))
    ids = [one.get("id") for one in root.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    levels = [int(one.tag[1]) for one in root.iter("h1", "h2", "h3", "h4", "h5", "h6")]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for field in root.iter("input"):
        inside, named = next(field.iterancestors("label"), None), root.find(f".//label[@for='{field.get('id')}']")
        label = inside if inside is not None else named
        assert field.get("type") == "hidden" or (label is not None and label.text_content().strip())
    assert all(one.find("legend") is not None for one in root.iter("fieldset"))
    for one in root.iter():
        referred = f"{one.get('aria-describedby', '')} {one.get('aria-labelledby', '')}".split()
        assert set(referred) <= set(ids)
    for table in root.iter("table"):
        assert table.findtext("caption")
        assert all(row.find("th") is not None and row.find("th").get("scope") == "row" for row in table.iter("tr"))


@each_case
def test_its_policy_lets_its_style_in(case: Path) -> None:
    (style,) = read(built(case)).iter("style")
    digest = base64.b64encode(hashlib.sha256((style.text or "").encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in POLICY
    assert "default-src 'none'" in POLICY


@pytest.mark.req("SEC-07")
@pytest.mark.parametrize("typed", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("program", Program)
def test_what_is_typed_stays_text(typed: str, program: Program) -> None:
    """It adds no element and no attribute to those of a page about a harmless address of the same standing."""
    question = ask(address=typed, program=program)
    harmless = "anna@alfa.example" if question.finding is Finding.OURS else "anna"
    got, expected = page(typed, program=program), page(harmless, program=program)
    assert [(one.tag, sorted(one.attrib)) for one in got.iter()] == [
        (one.tag, sorted(one.attrib)) for one in expected.iter()
    ]
    (field,) = got.xpath("//input[@id='address']")
    assert field.get("value") == question.address
    assert len(guide(ALFA, question)) < 20_000


def test_nobody_learns_which_boxes_exist() -> None:
    """The page knows of no box: two addresses of one domain differ in nothing but themselves."""
    one, other = (guide(ALFA, ask(address=f"{name}@alfa.example", program="ios")) for name in ("anna", "zeno"))
    assert one.replace(b"anna", b"zeno") == other


def test_servers_are_told_best_first_and_all() -> None:
    root = page("anna@alfa.example", language="en")
    told = [[row.findtext("td") for row in table.iter("tr")] for table in root.iter("table")]
    common = ("anna@alfa.example", "Normal password")
    assert told == [
        ["mail.alfa.example", "993", "SSL/TLS", *common],
        ["mail.alfa.example", "465", "SSL/TLS", *common],
        ["mail.alfa.example", "995", "SSL/TLS", *common],
        ["mail.alfa.example", "587", "STARTTLS", *common],
        ["mail.alfa.example", "4190", "STARTTLS", *common],
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("program", Program)
def test_every_program_has_its_answer_in_every_language(language: str, program: Program) -> None:
    (answer,) = page("anna@alfa.example", program=program, language=language).iter("section")
    assert answer.find("h2").text_content() == f"{WORDS[language].programs[program]}: anna@alfa.example"
    assert answer.find("ol") is not None
    text = answer.text_content()
    assert "*" not in text
    assert "{" not in text
    for seen in ("Ricevute", "Receipts", "$Certified", "$Delivered", "CONSEGNA", "POSTA CERTIFICATA"):
        assert seen in text
    profile = [link.get("href") for link in answer.iter("a")]
    by_profile = program in {Program.APPLE_MAIL, Program.IOS}
    assert profile == (["/mobileconfig?emailaddress=anna%40alfa.example"] if by_profile else [])


def test_the_languages_say_the_same() -> None:
    """As many sentences, about the same facts."""
    shapes = {language: [shape(text) for text in texts(words)] for language, words in WORDS.items()}
    assert set(WORDS) == set(LANGUAGES)
    assert shapes["it"] == shapes["en"]
    for words in WORDS.values():
        assert set(words.programs) == set(words.ways) == set(Program)
        assert set(words.problems) == {Finding.MALFORMED, Finding.FOREIGN}


def shape(text: str) -> list[str]:
    assert text.count("*") % 2 == 0
    return sorted(set(re.findall(r"\{\w+\}", text)) - {"{provider}"})


def texts(words: object) -> Iterator[str]:
    """Every text in there, in order."""
    if isinstance(words, str) and not isinstance(words, Enum):
        yield words
    elif isinstance(words, Way):
        yield from (words.title or "", words.remark or "", *words.steps)
    elif isinstance(words, Mapping):
        for key in sorted(words):
            yield from texts(words[key])
    elif isinstance(words, tuple):
        for each in words:
            yield from texts(each)
    else:
        assert dataclasses.is_dataclass(words)
        for field in dataclasses.fields(words):
            yield from texts(getattr(words, field.name))


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "it"),
        ("*", "it"),
        ("it-CH", "it"),
        ("en-US,en;q=0.5", "en"),
        ("de-DE,de;q=0.9", "en"),
        ("de,it;q=0.3,en;q=0.2", "it"),
        ("de, en;q=0.8, it;q=0.9", "it"),
        ("en;q=0,it;q=0.1", "it"),
        ("IT", "it"),
        ("it;q=0", "it"),
        ("en;q=2, fr", "en"),
        ("\0,;;q=,en;q=0.001,<it>", "en"),
        ("it;" * 10_000, "it"),
        ("en," * 100_000, "en"),
        ("q" * 100_000, "it"),
    ],
)
def test_the_language_is_the_browsers(header: str, language: str) -> None:
    assert preferred(header) == language


@pytest.mark.parametrize(
    ("typed", "finding", "address"),
    [
        ("", Finding.NOTHING, ""),
        ("  \t ", Finding.NOTHING, ""),
        (" anna@alfa.example ", Finding.OURS, "anna@alfa.example"),
        ("Anna@ALFA.example", Finding.OURS, "Anna@alfa.example"),
        ("anna@perché.example", Finding.OURS, "anna@xn--perch-fsa.example"),
        ("anna@other.example", Finding.FOREIGN, "anna@other.example"),
        ("anna@sub.alfa.example", Finding.FOREIGN, "anna@sub.alfa.example"),
        ("anna", Finding.MALFORMED, "anna"),
        ("@alfa.example", Finding.MALFORMED, "@alfa.example"),
        ("alfa.example", Finding.MALFORMED, "alfa.example"),
        ("anna@", Finding.MALFORMED, "anna@"),
        ("anna@[127.0.0.1]", Finding.MALFORMED, "anna@[127.0.0.1]"),
        ("Anna <anna@alfa.example>", Finding.MALFORMED, "Anna <anna@alfa.example>"),
        ("anna\n@alfa.example", Finding.MALFORMED, "anna\N{REPLACEMENT CHARACTER}@alfa.example"),
        (f"{'a' * 300}@alfa.example", Finding.MALFORMED, "a" * 254),
    ],
)
def test_an_address_is_judged_by_its_domain_alone(typed: str, finding: Finding, address: str) -> None:
    question = ask(address=typed)
    assert (question.finding, question.address) == (finding, address)


def test_a_program_or_a_language_that_is_none_counts_as_left_out() -> None:
    question = ask(address="anna@alfa.example", program="telnet", language="tlh", accept_language="en")
    assert (question.program, question.language, question.insisted) == (None, "en", False)
