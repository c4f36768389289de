"""A lab whose index is for certified providers alone: each fetches it over HTTPS, with a certificate."""

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.lab.labs import letter, running
from tests.lab.waiting import until

pytestmark = pytest.mark.lab


@pytest.mark.req("DIR-06", "DIR-07")
def test_each_provider_fetches_the_index_with_its_certificate_and_works_from_its_copy(tmp_path: Path) -> None:
    with running(tmp_path / "lab", "--client-certificates") as lab:
        index = lab.description["index"]
        context = ssl.create_default_context(cafile=lab.description["ca_file"])
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(index["url"], context=context, timeout=60)
        context.load_cert_chain(index["client_cert_file"], index["client_key_file"])
        with urllib.request.urlopen(index["url"], context=context, timeout=60) as given:
            data = given.read()
        assert data == Path(index["file"]).read_bytes()
        beta = lab.provider("beta.example")
        copy = Path(beta["config_file"]).with_name("index.ldif.p7m")
        until(copy.exists, "beta's copy of the index")
        assert copy.read_bytes() == data
        until(lambda: "provider index loaded" in _events(Path(beta["log_file"])), "beta's index in use")
        lab.send(letter("anna@alfa.example", to=["bruno@beta.example"], subject="con certificato"))
        lab.mailbox("anna@alfa.example").wait(lambda mail: mail.subject.startswith("CONSEGNA"), "delivery receipt")


def _events(log: Path) -> list[str]:
    return [json.loads(line)["event"] for line in log.read_text().splitlines()]
