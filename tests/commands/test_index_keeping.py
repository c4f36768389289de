"""``ceralacca index update, check, diff, publish``: as an operator types them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.lab.authority import Authority
from gateway.lab.network import Layout, ProviderFiles, prepare
from gateway.lab.plan import load_or_draw
from providers.chains import Trust
from providers.directory import ProviderRecord, read_signed_index, sign_index, write_ldif
from tests.drivers.pages import answer, pages


def ceralacca(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["index", *map(str, arguments)])


@dataclass
class House:
    """A provider on disk, and the authority of its index."""

    layout: Layout
    files: ProviderFiles
    authority: Authority
    name: str
    domain: str

    @property
    def config(self) -> Path:
        return self.files.config

    def set_index(self, *lines: str) -> None:
        text = self.config.read_text().replace("publish = true\n", "publish = true\n" + "\n".join(lines) + "\n")
        self.config.write_text(text)

    def record(self, *domains: str) -> ProviderRecord:
        issued = self.authority.provider_certificate(self.name, f"posta-certificata@{self.domain}")
        return ProviderRecord(
            name=self.name,
            certificates=(issued.der,),
            mail_receipt=f"posta-certificata@{self.domain}",
            managed_domains=frozenset(domains),
        )

    def index(self, *domains: str, at: datetime | None = None) -> bytes:
        ldif = write_ldif([self.record(*domains)], "https://index.example/")
        return sign_index(ldif, self.authority.index_signer().signer(), at or datetime.now(UTC))


@pytest.fixture
def house(tmp_path: Path) -> House:
    layout = Layout(tmp_path / "lab")
    layout.folder.mkdir()
    plan = load_or_draw(layout.folder, providers=1, accounts=1)
    prepare(layout, plan)
    authority = Authority.load(layout.folder / "authority", datetime.now(UTC))
    provider = plan.providers[0]
    return House(layout, layout.provider(provider), authority, provider.name, provider.domain)


def test_an_index_from_a_file_is_checked_compared_and_placed(house: House, tmp_path: Path) -> None:
    new = tmp_path / "new.p7m"
    new.write_bytes(house.index("alfa.example", "nuovo.example"))
    result = ceralacca("update", "--file", new, "--config", house.config)
    assert result.exit_code == 0, result.output
    assert "  + domain nuovo.example\n" in result.output
    assert house.layout.index_file.read_bytes() == new.read_bytes()


def test_a_bad_or_an_older_index_from_a_file_changes_nothing(house: House, tmp_path: Path) -> None:
    before = house.layout.index_file.read_bytes()
    bad, old = tmp_path / "bad.p7m", tmp_path / "old.p7m"
    bad.write_bytes(house.index("alfa.example")[:-1])
    old.write_bytes(house.index("alfa.example", "vecchio.example", at=datetime.now(UTC) - timedelta(days=2)))
    for file, reason in ((bad, "not signed data"), (old, "older than the one in use"), (tmp_path / "none", "No such")):
        result = ceralacca("update", "--file", file, "--config", house.config)
        assert result.exit_code == 2
        assert reason in result.output
        assert house.layout.index_file.read_bytes() == before
    result = ceralacca("update", "--file", old, "--allow-older", "--config", house.config)
    assert result.exit_code == 0, result.output
    assert "  + domain vecchio.example\n" in result.output


def test_without_an_address_there_is_nothing_to_fetch(house: House) -> None:
    result = ceralacca("update", "--config", house.config)
    assert result.exit_code == 2
    assert "index.url is not set" in result.output


async def test_the_index_is_fetched_with_our_certificate(house: House, tmp_path: Path) -> None:
    import asyncio
    import ssl

    prepare(house.layout, load_or_draw(house.layout.folder, providers=1, accounts=1), client_certificates=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(house.layout.tls_certificate, house.layout.tls_key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(house.layout.ca_file)
    async with pages(context) as server:
        house.set_index(
            f'url = "{server.url("/i")}"',
            f'ca_file = "{house.layout.ca_file}"',
            f'client_certificate_file = "{house.layout.client_certificate}"',
            f'client_key_file = "{house.layout.client_key}"',
        )
        server.said["/i"] = answer(house.index("alfa.example", "nuovo.example"))
        result = await asyncio.to_thread(ceralacca, "update", "--config", house.config)
        assert result.exit_code == 0, result.output
        assert "a new index is in " in result.output
        assert "  + domain nuovo.example\n" in result.output
        assert (await asyncio.to_thread(ceralacca, "update", "--config", house.config)).output == (
            "the index is the newest\n"
        )
        server.said["/i"] = answer(b"", 302, "Location: https://localhost/")
        result = await asyncio.to_thread(ceralacca, "update", "--config", house.config)
        assert result.exit_code == 1
        assert "302" in result.output
        assert "the old index stays" in result.output


def test_the_configured_index_is_checked(house: House) -> None:
    result = ceralacca("check", "--config", house.config)
    assert (result.exit_code, result.output.splitlines()[0].partition(": ")[2]) == (
        0,
        "1 records, 1 domains; 0 faults, 0 notes",
    )


def test_faults_of_an_index_are_named_with_their_record(house: House, tmp_path: Path) -> None:
    ldif = tmp_path / "index.ldif"
    ldif.write_bytes(
        write_ldif([house.record("other.example")]).replace(b"mailReceipt: posta-", b"mailReceipt: po sta-")
    )
    result = ceralacca("check", ldif)
    assert result.exit_code == 1
    assert "  note   DIR-04  it is not signed\n" in result.output
    assert (
        f"\nproviderName={house.name},o=postacert\n  fault  DIR-14  refused: mailReceipt is no address\n"
        in result.output
    )
    report = json.loads(ceralacca("check", ldif, "--json").output)
    assert {finding["rule"] for finding in report["findings"]} >= {"DIR-03", "DIR-14"}


def test_the_signature_is_part_of_the_check(house: House, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Authority.create([], datetime.now(UTC)).root_pem)
    result = ceralacca("check", house.layout.index_file, "--ca", other)
    assert result.exit_code == 1
    assert "fault  DIR-08  the signer's certificate is not trusted" in result.output
    assert "note   DIR-08  its signature was not checked" in ceralacca("check", house.layout.index_file).output
    broken = tmp_path / "broken.p7m"
    broken.write_bytes(b"\x30\x80 nothing")
    assert ceralacca("check", broken).exit_code == 2


def test_control_characters_of_a_stranger_do_not_reach_the_terminal(house: House, tmp_path: Path) -> None:
    ldif = tmp_path / "index.ldif"
    ldif.write_bytes(b"dn: providerName=\x1b[2Jx,o=postacert\nobjectclass: provider\n\n")
    result = ceralacca("check", ldif)
    assert result.exit_code == 1
    assert "\x1b" not in result.output


def test_indexes_are_compared(house: House, tmp_path: Path) -> None:
    old = tmp_path / "old.p7m"
    old.write_bytes(house.layout.index_file.read_bytes())
    same = ceralacca("diff", old, "--config", house.config)
    assert (same.exit_code, same.output) == (0, "the same providers, domains and certificates\n")
    new = tmp_path / "new.ldif"
    new.write_bytes(write_ldif([house.record("nuovo.example")]))
    result = ceralacca("diff", old, new)
    assert result.exit_code == 1
    assert "  - domain alfa.example\n" in result.output
    assert "  + domain nuovo.example\n" in result.output
    (change,) = json.loads(ceralacca("diff", old, new, "--json").output)
    assert change["kind"] == "changed"


@pytest.mark.req("DIR-03", "DIR-04")
def test_our_own_record_is_published_signed_by_us(house: House) -> None:
    target = house.files.folder / "record.ldif.p7m"
    house.set_index(f'record_file = "{target}"', 'record_url = "https://alfa.example/record.ldif.p7m"')
    result = ceralacca("publish", "--config", house.config, "--description", "Per prova")
    assert result.exit_code == 0, result.output
    directory = read_signed_index(target.read_bytes(), Trust.of_pem(house.authority.root_pem).anchors, None)
    (record,) = directory.records
    assert record.name == house.name
    assert record.managed_domains == {"alfa.example"}
    assert record.mail_receipt == "posta-certificata@alfa.example"
    assert record.ldif_url == "https://alfa.example/record.ldif.p7m"
    assert record.description == "Per prova"
    assert b"o=postacert\nobjectClass: organization" not in target.read_bytes()
    assert ceralacca("check", "--record", target, "--ca", house.layout.ca_file).exit_code == 0


@pytest.mark.req("CRT-09", "DIR-12", "DIR-15")
def test_the_next_certificate_stands_beside_the_present_one(house: House, tmp_path: Path) -> None:
    following = tmp_path / "next.pem"
    issued = house.authority.provider_certificate(house.name, f"posta-certificata@{house.domain}")
    following.write_bytes(issued.pem)
    target = tmp_path / "record.p7m"
    result = ceralacca("publish", "--config", house.config, "--certificate", following, "--out", target)
    assert result.exit_code == 0, result.output
    assert result.output.endswith("1 domains, 2 certificates\n")
    directory = read_signed_index(target.read_bytes(), Trust.of_pem(house.authority.root_pem).anchors, None)
    assert issued.der in directory.records[0].certificates
    assert directory.by_certificate(issued.der) is directory.records[0]


@pytest.mark.req("DIR-01", "DIR-02")
def test_the_main_record_s_file_lists_the_secondary_environments(house: House, tmp_path: Path) -> None:
    unit = tmp_path / "unit.ldif"
    printed = ceralacca("publish", "--config", house.config, "--as-unit", "Secondo", "--ldif")
    assert printed.exit_code == 0, printed.output
    unit.write_text(printed.stdout.replace("managedDomains: alfa.example", "managedDomains: due.alfa.example"))
    target = tmp_path / "record.p7m"
    result = ceralacca("publish", "--config", house.config, "--unit", unit, "--out", target)
    assert result.exit_code == 0, result.output
    directory = read_signed_index(target.read_bytes(), Trust.of_pem(house.authority.root_pem).anchors, None)
    assert [record.unit for record in directory.records] == [None, "Secondo"]
    assert directory.records[1].dn == f"providerUnit=Secondo,providerName={house.name},o=postacert"
    assert directory.records[1].ldif_url is None
    main = tmp_path / "main.ldif"
    main.write_text(ceralacca("publish", "--config", house.config, "--ldif").stdout)
    result = ceralacca("publish", "--config", house.config, "--unit", main, "--out", target)
    assert result.exit_code == 2
    assert "is no secondary environment" in result.output


def test_nothing_is_published_without_a_file_to_publish_in(house: House) -> None:
    result = ceralacca("publish", "--config", house.config)
    assert result.exit_code == 2
    assert "index.record_file is not set" in result.output
