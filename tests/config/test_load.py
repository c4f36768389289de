"""A configuration is read whole or refused with everything that is wrong with it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from config.load import ConfigurationError, load_settings
from config.settings import Endpoint, Settings

FOLDER = Path("/etc/ceralacca")
SMALLEST = """\
[provider]
name = "Alfa PEC"
domain = "Alfa.example"
[tls]
certificate_file = "tls.pem"
key_file = "/run/tls.key"
[signing]
key_file = "signing.p12"
[trust]
ca_file = "roots.pem"
[index]
file = "index.ldif.p7m"
signer_ca_file = "index-ca.pem"
"""


def load(text: str = "", environment: Mapping[str, str] | None = None) -> Settings:
    return load_settings(SMALLEST + text, environment or {}, FOLDER)


def faults(text: str = "", environment: Mapping[str, str] | None = None, *, base: str = SMALLEST) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(base + text, environment or {}, FOLDER)
    assert str(caught.value) == "\n".join(map(str, caught.value.faults))
    return [str(fault) for fault in caught.value.faults]


def test_smallest_configuration_has_the_defaults() -> None:
    settings = load()
    assert settings.provider.service_address == "posta-certificata@alfa.example"
    assert settings.provider.time_zone == "Europe/Rome"
    assert settings.listen.smtp == (Endpoint("", 25),)
    assert settings.limits.max_total_bytes == 30_000_000
    assert settings.relay.routes == ()


def test_file_names_start_in_the_folder_of_the_file() -> None:
    settings = load('[[relay.routes]]\ndomain = "b.example"\nhost = "localhost"\ntls_ca_file = "b.pem"\n')
    assert settings.tls.certificate_file == FOLDER / "tls.pem"
    assert settings.tls.key_file == Path("/run/tls.key")
    assert settings.signing.certificate_file is None
    assert settings.relay.routes[0].tls_ca_file == FOLDER / "b.pem"


def test_all_faults_are_named_at_once_with_their_lines() -> None:
    text = """\
[limits]
max_recipients = "500"
max_bad_comands = 3
session_seconds = 0
[listen]
smtp = [
  "127.0.0.1:25",
  "nonsense",
]
pop3 = "*:110"
[[relay.routes]]
domain = "beta.example"
host = "localhost"
[[relay.routes]]
domain = "gamma.example"
prt = 25
[policy]
ordinary_mail = "drop"
received_shows_address = 1
[storag]
url = "x"
"""
    base = SMALLEST.replace('ca_file = "roots.pem"\n', "", 1).replace('"tls.pem"', "3")
    first = base.count("\n")
    assert faults(text, base=base) == [
        "line 5: tls.certificate_file: must be a file name in quotes",
        "line 9: trust.ca_file: is missing",
        f"line {first + 2}: limits.max_recipients: must be a whole number",
        f'line {first + 3}: limits.max_bad_comands: unknown key, perhaps "max_bad_commands"',
        f"line {first + 4}: limits.session_seconds: must be greater than 0",
        f'line {first + 8}: listen.smtp.1: must be "host:port", as in "127.0.0.1:25" or "*:25"',
        f"line {first + 10}: listen.pop3: must be a list",
        f"line {first + 14}: relay.routes.1.host: is missing",
        f'line {first + 16}: relay.routes.1.prt: unknown key, perhaps "port"',
        f"line {first + 18}: policy.ordinary_mail: must be 'wrap', 'refuse' or 'folder'",
        f"line {first + 19}: policy.received_shows_address: must be true or false",
        f'line {first + 20}: storag: unknown key, perhaps "storage"',
    ]


def test_missing_sections_are_named() -> None:
    named = faults(base='[provider]\nname = "A"\ndomain = "a.example"\n')
    assert named == ["index: is missing", "signing: is missing", "tls: is missing", "trust: is missing"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = \n", "line 14: Invalid value"),
        ("a = 1\na = 2\n", "line 15: Cannot overwrite a value"),
        ("a = 1 2\n", "line 14: Expected newline or end of document after a statement"),
        ('[x]\nb = """\n\n', "line 17: Unterminated string (at end of document)"),
    ],
)
def test_file_that_is_no_toml_is_refused_with_its_line(text: str, expected: str) -> None:
    assert faults(text) == [expected]


def test_environment_wins_and_is_typed() -> None:
    environment = {
        "CERALACCA_LIMITS__MAX_RECIPIENTS": "200",
        "CERALACCA_POLICY__RECEIVED_SHOWS_ADDRESS": "true",
        "CERALACCA_LISTEN__SMTP": '["127.0.0.1:25", "[::1]:25"]',
        "CERALACCA_PROVIDER__NAME": "12345",
        "CERALACCA_LOG__FILE": "gateway.log",
        "CERALACCA_RELAY__ROUTES": '[{"domain": "c.example", "host": "localhost"}]',
        "CERALACCA_CONFIG": "/not/a/setting",
        "OTHER__THING": "1",
    }
    settings = load("[limits]\nmax_recipients = 100\nmax_connections = 7\n", environment)
    assert (settings.limits.max_recipients, settings.limits.max_connections) == (200, 7)
    assert settings.policy.received_shows_address
    assert settings.listen.smtp == (Endpoint("127.0.0.1", 25), Endpoint("::1", 25))
    assert settings.provider.name == "12345"
    assert settings.log.file == FOLDER / "gateway.log"
    assert [route.domain for route in settings.relay.routes] == ["c.example"]


def test_faults_of_the_environment_name_the_variable_and_join_those_of_the_file() -> None:
    environment = {
        "CERALACCA_LIMITS__MAX_RECIPIENTS": "many",
        "CERALACCA_LISTEN__SMTP": "*:25",
        "CERALACCA_LOG__LVL": "info",
        "CERALACCA_STORGE__URL": "x",
    }
    assert faults("[limits]\nmax_recipients = 100\nx = 1\n", environment) == [
        "CERALACCA_LIMITS__MAX_RECIPIENTS: limits.max_recipients: must be a whole number",
        "CERALACCA_LISTEN__SMTP: listen.smtp: must be JSON",
        'CERALACCA_LOG__LVL: log.lvl: unknown key, perhaps "level"',
        'CERALACCA_STORGE__URL: storge.url: unknown key, perhaps "storage"',
        "line 16: limits.x: unknown key",
    ]


def test_variable_under_something_that_is_no_table_is_a_fault() -> None:
    named = faults(environment={"CERALACCA_LIMITS__MAX_RECIPIENTS": "100"}, base=f"limits = 3\n{SMALLEST}")
    assert "CERALACCA_LIMITS__MAX_RECIPIENTS: limits.max_recipients: the file has something else in its place" in named


def test_faults_never_show_a_value() -> None:
    secret = "mysql://gateway:hunter2@db/gateway"
    for named in (faults(f'[storage]\nurl = "{secret}"\n'), faults(environment={"CERALACCA_STORAGE__URL": secret})):
        assert len(named) == 1
        assert "hunter2" not in named[0]
    assert "hunter2" not in repr(load('[storage]\nurl = "postgresql+psycopg://gw:hunter2@db/gw"\n'))


@pytest.mark.parametrize(
    "line",
    [
        'provider.domain = "alfa"',  # dotted keys of a table that stands already are a TOML fault
        '[storage]\nurl = "sqlite:///relative.sqlite"',
        '[listen]\nsmtp = ["::1:25"]',
        '[listen]\nsmtp = ["localhost:70000"]',
        '[listen]\nsmtp = [":25"]',
        "[limits]\nmax_in_flight_bytes = 50_000_000",
        '[[relay.routes]]\ndomain = "b.example"\nhost = "h"\n[[relay.routes]]\ndomain = "B.example"\nhost = "i"',
        '[[relay.routes]]\ndomain = "bà.example"\nhost = "h"',
    ],
)
def test_values_that_cannot_be_meant_are_refused(line: str) -> None:
    assert faults(line + "\n")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", '""'),
        ("domain", '"alfa..example"'),
        ("domain", '"-"'),
        ("time_zone", '"Europe/Rom"'),
        ("time_zone", '"../etc/passwd"'),
        ("service_address", '"posta-certificata"'),
        ("service_address", '"Posta <posta-certificata@alfa.example>"'),
    ],
)
def test_a_provider_needs_usable_names(key: str, value: str) -> None:
    base = SMALLEST.replace('name = "Alfa PEC"', "").replace('domain = "Alfa.example"', "")
    rest = {"name": '"A"', "domain": '"a.example"', key: value}
    lines = "".join(f"{name} = {text}\n" for name, text in rest.items())
    named = faults(base=base.replace("[provider]\n", f"[provider]\n{lines}"))
    assert len(named) == 1
    assert f"provider.{key}" in named[0]


@pytest.mark.req("QOS-01")
def test_fewer_than_fifty_recipients_cannot_be_set() -> None:
    assert faults("[limits]\nmax_recipients = 49\n")
    assert load("[limits]\nmax_recipients = 50\n").limits.max_recipients == 50
    assert load().limits.max_recipients >= 50


@pytest.mark.req("QOS-02")
def test_less_than_thirty_megabytes_cannot_be_set() -> None:
    assert faults("[limits]\nmax_total_bytes = 29_999_999\n")
    assert faults("[limits]\nmax_message_bytes = 29_999_999\n")
    assert load().limits.max_total_bytes >= 30_000_000
    assert load().limits.max_message_bytes >= 30_000_000
