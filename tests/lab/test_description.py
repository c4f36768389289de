"""lab.json: what it says, and that what it says is so."""

import json
import os
import socket
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.lab.labs import Lab, alive

pytestmark = pytest.mark.lab

PROVIDER_FIELDS = {
    *("name", "domain", "service_address", "service_account", "pid", "command", "data_dir", "config_file", "log_file"),
    *("host", "ports", "clamd_socket"),
}
PORTS = {"submission", "submissions", "smtp", "pop3", "pop3s", "imap", "imaps", "managesieve", "https"}
INDEX_FIELDS = {"url", "file", "signer_ca_file", "client_cert_file", "client_key_file"}


def files_named(lab: dict[str, Any]) -> list[str]:
    providers = lab["providers"]
    return [
        *(one[name] for one in providers for name in ("data_dir", "config_file", "log_file")),
        *(lab["ca_file"], lab["email_ca_file"], lab["ordinary"]["maildir"]),
        *(lab["index"]["file"], lab["index"]["signer_ca_file"]),
    ]


def test_it_has_the_documented_fields_and_no_others(lab: Lab) -> None:
    said = lab.description
    fields = {"version", "providers", "accounts", "ca_file", "email_ca_file", "index", "ordinary", "timestamps"}
    assert set(said) == fields
    assert said["version"] == 1
    assert [one["domain"] for one in said["providers"]] == ["alfa.example", "beta.example"]
    for provider in said["providers"]:
        assert set(provider) == PROVIDER_FIELDS
        assert set(provider["ports"]) == PORTS
        assert set(provider["service_account"]) == {"address", "password"}
    assert [one["address"].partition("@")[0] for one in said["accounts"]] == ["anna", "bruno", "carla"] * 2
    assert all(set(one) == {"address", "password"} for one in said["accounts"])
    assert set(said["index"]) == INDEX_FIELDS
    assert set(said["ordinary"]) == {"domain", "smtp", "maildir"}


def test_only_its_owner_reads_it_and_its_paths_are_absolute(lab: Lab) -> None:
    assert lab.file.stat().st_mode & 0o777 == 0o600
    for name in files_named(lab.description):
        assert Path(name).is_absolute()
        assert Path(name).exists(), name


def test_its_processes_are_those_commands(lab: Lab) -> None:
    for provider in lab.description["providers"]:
        assert alive(provider["pid"])
        running = Path(f"/proc/{provider['pid']}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        assert [os.fsdecode(word) for word in running] == provider["command"]
        assert provider["config_file"] in provider["command"]


def test_every_port_answers_on_every_loopback_address(lab: Lab) -> None:
    said = lab.description
    ports = [port for one in said["providers"] for port in one["ports"].values() if port is not None]
    for address in ("127.0.0.1", "::1") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
        for port in (*ports, said["ordinary"]["smtp"]):
            socket.create_connection((address, port), timeout=60).close()
    assert all(one["host"] == "localhost" for one in said["providers"])


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_the_servers_certificates_hold_for_every_name_of_this_machine(lab: Lab, name: str) -> None:
    if name == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    for provider in lab.description["providers"]:
        for port in ("submissions", "imaps", "pop3s", "https"):
            with (
                socket.create_connection((name, provider["ports"][port]), timeout=60) as plain,
                lab.context().wrap_socket(plain, server_hostname=name) as secured,
            ):
                assert secured.version() in ("TLSv1.2", "TLSv1.3")


def test_every_account_signs_in(lab: Lab) -> None:
    for box in lab.mailboxes():
        box.raw()
    for account in lab.description["accounts"]:
        with lab.submission(account["address"]):
            pass


def test_the_index_is_published_and_signed(lab: Lab, tmp_path: Path) -> None:
    index = lab.description["index"]
    with urllib.request.urlopen(index["url"], context=lab.context(), timeout=60) as answer:
        assert answer.read() == Path(index["file"]).read_bytes()
        assert answer.headers["Content-Type"] == "application/pkcs7-mime; smime-type=signed-data"
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-in", index["file"], "-CAfile", index["signer_ca_file"]]
    ldif = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line for line in ldif.splitlines() if line.startswith("managedDomains:")] == [
        "managedDomains: alfa.example",
        "managedDomains: beta.example",
    ]


def test_the_certificate_files_hold_what_their_names_say(lab: Lab) -> None:
    said = lab.description
    root, both = (Path(said[name]).read_text() for name in ("ca_file", "email_ca_file"))
    assert root.count("BEGIN CERTIFICATE") == 1
    assert both.count("BEGIN CERTIFICATE") == 2
    assert both.startswith(root)
    context = ssl.create_default_context(cafile=said["email_ca_file"])
    subjects = [dict(pair[0] for pair in one["subject"])["commonName"] for one in context.get_ca_certs()]
    assert subjects == ["Ceralacca Lab Root CA", "Ceralacca Lab E-mail CA"]


def test_the_log_of_a_provider_holds_no_password(lab: Lab) -> None:
    said = lab.description
    secrets = [one["password"] for one in said["accounts"]]
    for provider in said["providers"]:
        log = Path(provider["log_file"]).read_text()
        assert json.loads(log.splitlines()[0])["event"]
        assert not [secret for secret in secrets if secret in log]
