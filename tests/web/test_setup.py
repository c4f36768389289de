"""What mail programs get when they ask for their settings, over real sockets and read as they read it."""

import json
import plistlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway.drivers.profiles import sign_profile
from gateway.web.pages import Health, Publications, application
from gateway.web.server import WebServer
from gateway.web.setup.dns import dns_records
from gateway.web.setup.pages import setup_pages
from gateway.web.setup.servers import MailServer, MailServers, Service
from tests import throwaway
from tests.web.test_server import Reply, ask

SERVERS = MailServers(
    provider='Alfa "PEC" & figli',
    short_name="Alfa",
    servers=(
        MailServer(service=Service.SUBMISSION, host="mail.alfa.example", port=465, implicit_tls=True),
        MailServer(service=Service.SUBMISSION, host="mail.alfa.example", port=587, implicit_tls=False),
        MailServer(service=Service.POP3, host="mail.alfa.example", port=995, implicit_tls=True),
        MailServer(service=Service.IMAP, host="mail.alfa.example", port=993, implicit_tls=True),
    ),
)
OURS = frozenset({"alfa.example", "xn--perch-fsa.example"})
POX = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"
REQUEST = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">'
    "<Request><EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>"
    "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
    "</AcceptableResponseSchema></Request></Autodiscover>"
)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> throwaway.Throwaway:
    return throwaway.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def port(tls: throwaway.Throwaway) -> AsyncIterator[int]:
    async def health() -> Health:
        return Health(storage=True, index=True, queue=0)

    async def sign(profile: bytes) -> bytes:
        return sign_profile(profile, tls.certificate, tls.key)

    pages = setup_pages(SERVERS, is_ours=OURS.__contains__, sign=sign, base_url="https://mail.alfa.example")
    server = WebServer(application(health, Publications(index=lambda: None), pages), tls.server())
    port = server.bind("127.0.0.1", 0)
    await server.start()
    yield port
    await server.close()


async def post(
    port: int, tls: throwaway.Throwaway, body: bytes, target: str = "/autodiscover/autodiscover.xml"
) -> Reply:
    return await ask(
        port, tls, target, f"Content-Length: {len(body)}", "Content-Type: text/xml", method="POST", body=body
    )


@pytest.mark.parametrize(
    "target",
    [
        "/mail/config-v1.1.xml?emailaddress=anna%40alfa.example",
        "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=nobody%40ALFA.example",
        "/v1.1/alfa.example",
    ],
)
async def test_thunderbird_learns_every_server_imap_first(port: int, tls: throwaway.Throwaway, target: str) -> None:
    reply = await ask(port, tls, target)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    provider = ElementTree.fromstring(reply.body).find("emailProvider")
    assert provider is not None
    assert (provider.get("id"), provider.findtext("domain")) == ("alfa.example", "alfa.example")
    assert provider.findtext("displayName") == 'Alfa "PEC" & figli'
    servers = [
        (each.tag, each.get("type"), each.findtext("port"), each.findtext("socketType"))
        for each in provider
        if each.find("hostname") is not None
    ]
    assert servers == [
        ("incomingServer", "imap", "993", "SSL"),
        ("incomingServer", "pop3", "995", "SSL"),
        ("outgoingServer", "smtp", "465", "SSL"),
        ("outgoingServer", "smtp", "587", "STARTTLS"),
    ]
    assert {each.text for each in provider.iter("username")} == {"%EMAILADDRESS%"}
    assert {each.text for each in provider.iter("hostname")} == {"mail.alfa.example"}


async def test_the_host_asked_tells_the_domain_when_no_address_is_sent(port: int, tls: throwaway.Throwaway) -> None:
    right = await ask(port, tls, "/mail/config-v1.1.xml", host="autoconfig.alfa.example")
    assert right.status == 200
    other = await ask(port, tls, "/mail/config-v1.1.xml", host="autoconfig.other.example")
    assert other.status == 404


@pytest.mark.parametrize(
    "target",
    [
        "/mail/config-v1.1.xml?emailaddress=anna%40other.example",
        "/mail/config-v1.1.xml?emailaddress=",
        "/mail/config-v1.1.xml?emailaddress=%0d%0aX%3a1%40alfa.example",
        "/v1.1/other.example",
        "/v1.1/%00",
        "/mobileconfig",
        "/mobileconfig?emailaddress=anna%40other.example",
        f"/mobileconfig?emailaddress={'a' * 5_000}%40alfa.example",
    ],
)
async def test_what_is_not_ours_is_not_found(port: int, tls: throwaway.Throwaway, target: str) -> None:
    assert (await ask(port, tls, target)).status == 404


@pytest.mark.parametrize("target", ["/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml"])
async def test_outlook_learns_one_server_of_each_kind(port: int, tls: throwaway.Throwaway, target: str) -> None:
    reply = await post(port, tls, REQUEST.format(address="anna@alfa.example").encode(), target)
    assert reply.status == 200
    account = ElementTree.fromstring(reply.body).find(f"{POX}Response/{POX}Account")
    assert account is not None
    assert account.findtext(f"{POX}Action") == "settings"
    protocols = [
        tuple(each.findtext(f"{POX}{name}") for name in ("Type", "Server", "Port", "LoginName", "SSL", "Encryption"))
        for each in account.iter(f"{POX}Protocol")
    ]
    common = ("anna@alfa.example", "on", "SSL")
    assert protocols == [
        ("IMAP", "mail.alfa.example", "993", *common),
        ("POP3", "mail.alfa.example", "995", *common),
        ("SMTP", "mail.alfa.example", "465", *common),
    ]


BILLION_LAUGHS = (
    b'<!DOCTYPE a [<!ENTITY a "' + b"a" * 1_000 + b'"><!ENTITY b "' + b"&a;" * 1_000 + b'">]>'
    b"<Request><EMailAddress>&b;@alfa.example</EMailAddress></Request>"
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\xff\xfe",
        b"<Request/>",
        b"<Request><EMailAddress>",
        BILLION_LAUGHS,
        REQUEST.format(address="anna@other.example").encode(),
        REQUEST.format(address="no address").encode(),
        REQUEST.format(address="a" * 400 + "@alfa.example").encode(),
        b"<a>" * 5_000,
    ],
)
async def test_outlook_is_told_when_a_request_is_about_nothing_of_ours(
    port: int, tls: throwaway.Throwaway, body: bytes
) -> None:
    reply = await post(port, tls, body)
    assert reply.status == 200
    error = ElementTree.fromstring(reply.body).find(f"{POX}Response/{POX}Error")
    assert error is not None
    assert error.findtext(f"{POX}ErrorCode") == "600"


async def test_a_request_without_end_is_cut_short(port: int, tls: throwaway.Throwaway) -> None:
    assert (await post(port, tls, b"<" + b"a" * 1_000_000)).status == 413


async def test_newer_outlooks_are_sent_to_the_xml(port: int, tls: throwaway.Throwaway) -> None:
    target = "/autodiscover/autodiscover.json?Email=anna%40alfa.example&Protocol="
    reply = await ask(port, tls, f"{target}Autodiscoverv1")
    assert json.loads(reply.body) == {
        "Protocol": "AutodiscoverV1",
        "Url": "https://mail.alfa.example/autodiscover/autodiscover.xml",
    }
    assert (await ask(port, tls, f"{target}EWS")).status == 400


async def test_a_mailbox_that_does_not_exist_gets_the_same_answer(port: int, tls: throwaway.Throwaway) -> None:
    known, unknown = [
        await ask(port, tls, f"/mail/config-v1.1.xml?emailaddress={local}%40alfa.example")
        for local in ("anna", "nobody")
    ]
    assert known.body == unknown.body


async def test_people_are_told_what_to_do(port: int, tls: throwaway.Throwaway) -> None:
    target = "/setup?address=anna%40alfa.example&program=thunderbird"
    reply = await ask(port, tls, target, "Accept-Language: en-GB,en;q=0.9")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"Thunderbird finds the servers by itself" in reply.body
    assert reply.headers["content-language"] == "en"
    assert reply.headers["vary"] == "Accept-Language"
    assert reply.headers["cache-control"] == "no-store"
    assert "script" not in reply.headers["content-security-policy"]
    assert "style-src 'sha256-" in reply.headers["content-security-policy"]
    assert reply.headers["referrer-policy"] == "no-referrer"
    italian = await ask(port, tls, target)
    assert (italian.headers["content-language"], b"trova i server da solo" in italian.body) == ("it", True)


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("/", "/setup"),
        ("/setup/", "/setup"),
        ("/?address=anna%40alfa.example&program=ios", "/setup?address=anna%40alfa.example&program=ios"),
        ("/?%0d%0aSet-Cookie:a=b", "/setup?%0d%0aSet-Cookie:a=b"),
        ("//other.example/?a", None),
    ],
)
async def test_the_bare_address_of_the_server_leads_there(
    port: int, tls: throwaway.Throwaway, target: str, where: str | None
) -> None:
    """To a place on the same server, whatever was asked."""
    reply = await ask(port, tls, target, host="other.example")
    assert (reply.status, reply.headers.get("location")) == ((404, None) if where is None else (302, where))
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    ("method", "target", "host", "status"),
    [
        ("GET", "/setup", "localhost", 200),
        ("HEAD", "/setup", "localhost", 200),
        ("GET", "/setup?address=nobody%40alfa.example", "localhost", 200),
        ("GET", "/setup?address=anna%40other.example", "localhost", 404),
        ("GET", "/setup?address=anna", "localhost", 400),
        ("GET", "/setup?address=%00%ff%fe%0d%0aX:%201", "localhost", 400),
        ("GET", f"/setup?address={'a' * 7_000}", "localhost", 400),
        ("GET", f"/setup?address={'a' * 9_000}", "localhost", 414),
        ("GET", "/setup?" + "a&" * 3_900, "localhost", 200),
        ("GET", "/setup?address=a&address=anna%40alfa.example&program=", "localhost", 200),
        ("GET", "/setup?program=%3cscript%3e&language=../../etc", "localhost", 200),
        ("POST", "/setup", "localhost", 405),
        ("PUT", "/", "localhost", 405),
        ("GET", "/setup", "", 200),
        ("GET", "/setup", "[::1]:443", 200),
        ("GET", "/setup", "autoconfig.alfa.example:8443", 200),
        ("GET", "/setup", "[", 400),
        ("GET", "/setup", 'a"><script>', 400),
        ("GET", "/setup", "alfa.example/path", 400),
        ("GET", "/setup", "anna@alfa.example", 400),
        ("GET", "/setup", "alfa example", 400),
        ("GET", "/setup", "\xe8", 400),
        ("GET", "/setup", "localhost:port", 400),
    ],
)
async def test_what_is_odd_gets_the_right_answer(
    port: int, tls: throwaway.Throwaway, method: str, target: str, host: str, status: int
) -> None:
    reply = await ask(port, tls, target, method=method, host=host)
    assert reply.status == status
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert b"<script" not in reply.body
    assert len(reply.body) < 20_000


async def test_a_method_that_is_not_for_the_page_is_told_which_are(port: int, tls: throwaway.Throwaway) -> None:
    reply = await ask(port, tls, "/setup", method="POST")
    assert (reply.status, set(reply.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})


def verified(signed: Path, authority: Path) -> bytes:
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-in", signed, "-CAfile", authority, "-purpose", "any"]
    return subprocess.run(command, capture_output=True, check=True).stdout


async def test_apple_gets_a_profile_that_openssl_verifies(port: int, tls: throwaway.Throwaway, tmp_path: Path) -> None:
    reply = await ask(port, tls, "/mobileconfig?emailaddress=anna.rossi%40alfa.example")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-apple-aspen-config")
    assert reply.headers["content-disposition"] == 'attachment; filename="anna.rossi@alfa.example.mobileconfig"'
    signed = tmp_path / "profile"
    signed.write_bytes(reply.body)
    profile = plistlib.loads(verified(signed, tls.certificate))
    (mail,) = profile["PayloadContent"]
    assert profile["PayloadIdentifier"] == "example.alfa.ceralacca.anna.rossi"
    assert mail["EmailAccountType"] == "EmailTypeIMAP"
    assert mail["EmailAddress"] == mail["IncomingMailServerUsername"] == "anna.rossi@alfa.example"
    assert (mail["IncomingMailServerPortNumber"], mail["OutgoingMailServerPortNumber"]) == (993, 465)
    assert mail["IncomingMailServerUseSSL"] is mail["OutgoingMailServerUseSSL"] is True
    again = await ask(port, tls, "/mobileconfig?emailaddress=anna.rossi%40alfa.example")
    assert profile["PayloadUUID"].encode() in again.body


def test_dns_records_name_what_is_served_and_deny_what_is_not() -> None:
    assert list(dns_records(SERVERS, "alfa.example", https_port=443)) == [
        "_submissions._tcp.alfa.example. 3600 IN SRV 0 1 465 mail.alfa.example.",
        "_submission._tcp.alfa.example. 3600 IN SRV 0 1 587 mail.alfa.example.",
        "_imaps._tcp.alfa.example. 3600 IN SRV 0 1 993 mail.alfa.example.",
        "_imap._tcp.alfa.example. 3600 IN SRV 0 0 0 .",
        "_pop3s._tcp.alfa.example. 3600 IN SRV 10 1 995 mail.alfa.example.",
        "_pop3._tcp.alfa.example. 3600 IN SRV 0 0 0 .",
        "_sieve._tcp.alfa.example. 3600 IN SRV 0 0 0 .",
        "_autodiscover._tcp.alfa.example. 3600 IN SRV 0 1 443 mail.alfa.example.",
        "autoconfig.alfa.example. 3600 IN CNAME mail.alfa.example.",
    ]
