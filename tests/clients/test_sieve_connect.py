"""sieve-connect keeps the filters of a box, and they are followed."""

import imaplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.places import program
from tests.lab.labs import Account, Lab, letter, running
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

ANNA, BRUNO = "anna@alfa.example", "bruno@beta.example"
SCRIPT = """\
require ["fileinto", "imap4flags", "mailbox", "vnd.ceralacca.certified"];
# rule:[Perizie]
if allof (certified "kind" "certified", header :contains "subject" "perizia") {
    addflag "\\\\Flagged";
    fileinto :create "Lavoro/Perizie";
}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running(tmp_path_factory.mktemp("sieve") / "lab", "--accounts", "2") as started:
        yield started


class Filters:
    """sieve-connect with the scripts of one account."""

    def __init__(self, lab: Lab, account: Account) -> None:
        port = lab.provider(account.domain)["ports"]["managesieve"]
        ca_file = lab.description["ca_file"]
        self._command = [program("sieve-connect"), "--server", "localhost", "--port", str(port)]
        self._command += ["--user", account.address, "--passwordfd", "0", "--tlscafile", ca_file]
        self._password = account.password

    def __call__(self, *arguments: str | Path, ends_well: bool = True) -> str:
        done = subprocess.run(
            [*self._command, *map(str, arguments)],
            input=self._password + "\n",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode == 0) == ends_well, done.stdout + done.stderr
        return done.stdout + done.stderr


def flags_in(lab: Lab, account: Account, folder: str) -> list[bytes]:
    """The flags of the messages in a folder."""
    port = lab.provider(account.domain)["ports"]["imaps"]
    with imaplib.IMAP4_SSL("localhost", port, ssl_context=lab.context(), timeout=60) as client:
        client.login(account.address, account.password)
        if client.select(folder, readonly=True)[0] != "OK":
            return []
        return [line for line in client.fetch("1:*", "(FLAGS)")[1] if isinstance(line, bytes)]


def test_a_filter_is_put_activated_followed_and_taken_away(lab: Lab, tmp_path: Path) -> None:
    account = lab.account(BRUNO)
    filters = Filters(lab, account)
    (script := tmp_path / "filtri.sieve").write_text(SCRIPT)
    (wrong := tmp_path / "sbagliato.sieve").write_text('keep;\nif true { reject "no"; }\n')
    filters("--upload", "--localsieve", script, "--remotesieve", "filtri")
    filters("--activate", "--remotesieve", "filtri")
    assert '"filtri" ACTIVE' in filters("--list")
    assert "line 2: column 11: reject" in filters(
        "--upload", "--localsieve", wrong, "--remotesieve", "sbagliato", ends_well=False
    )
    filters("--download", "--localsieve", tmp_path / "zurück.sieve", "--remotesieve", "filtri")
    assert (tmp_path / "zurück.sieve").read_text() == SCRIPT
    message = letter(ANNA, to=[BRUNO], subject="Perizia n. 12")
    lab.send(message)
    until(lambda: bool(flags_in(lab, account, "Lavoro/Perizie")), "the message in its folder", seconds=60)
    (flags,) = flags_in(lab, account, "Lavoro/Perizie")
    assert b"\\Flagged" in flags
    lab.mailbox(ANNA).wait(lambda mail: mail.kind.startswith("T9"), "delivery receipt")
    assert "The script is active" in filters("--delete", "--remotesieve", "filtri", ends_well=False)
    filters("--deactivate")
    filters("--delete", "--remotesieve", "filtri")
    assert "filtri" not in filters("--list")
