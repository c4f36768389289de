"""DKIM: what we sign is believed by others, what others signed is judged, and neither keeps a message in memory."""

import hashlib
import random
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dkim
import pytest
from dkim.canonicalization import Relaxed, Simple

from gateway.drivers.dkim_body import body_digest
from gateway.drivers.dkim_checker import MAX_SIGNATURES, check_signatures, find_keys, signature_fields
from gateway.drivers.dkim_keys import DkimKey, DkimKeys
from gateway.drivers.dkim_signer import DkimSigner, dkim_signature
from gateway.drivers.keyfiles import KeyRefused, key_pem
from gateway.points.authentication import Dkim, Result
from receipts.octets import Octets
from receipts.scanner import scan_header
from tests.drivers.mail_dkim import judged_by, perl_with_dkim
from tests.drivers.zone import Zone, serving

AT = datetime(2026, 3, 2, 8, 30, 15, tzinfo=UTC)
DOMAIN = "alfa.example"
MESSAGE = (
    b'From: "Per conto di: anna@alfa.example" <posta-certificata@alfa.example>\r\n'
    b"To: x@mail.example,\r\n\ty@mail.example\r\nSubject: POSTA CERTIFICATA:  Perizia\r\n"
    b"Message-ID: <1@alfa.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
    b"X-Trasporto: posta-certificata\r\n\r\nIn allegato \t la perizia. \r\n\r\n.\r\n\r\n\r\n"
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> DkimKeys:
    made = DkimKeys(tmp_path_factory.mktemp("dkim"))
    made.make(DOMAIN, "s1")
    return made


@pytest.fixture
def key(keys: DkimKeys) -> DkimKey:
    found = keys.current(DOMAIN)
    assert found is not None
    return found


def zone(key: DkimKey, **more: str) -> Zone:
    return Zone({f"{key.record_name} TXT": [key.record], **{name: [value] for name, value in more.items()}})


def signed(key: DkimKey, message: bytes = MESSAGE) -> bytes:
    rope = Octets.of(message)
    return dkim_signature(rope, scan_header(rope), key, AT) + message


async def judged(raw: bytes, dns: Zone) -> list[Dkim]:
    message = Octets.of(raw)
    header = scan_header(message)
    fields = signature_fields(message, header)
    return check_signatures(message, header, fields, await find_keys(dns, fields))


class TestBody:
    """Against dkimpy's own canonical forms, however the bytes are cut."""

    BODIES = (
        b"",
        b"\r\n",
        b"\r\n\r\n\r\n",
        b"a",
        b"a\r\n",
        b"a\r\n\r\n",
        b" a  b \t\r\n \r\n\t\r\n",
        b"   \t \r\n",
        b" \r\n \r\n",
        b"\r\n\r\na \r\n\r\n b\r\n",
        b"a \r\n\t\r\n\t b",
        b"a  \r\n" * 20 + b" \t\r\n" * 5,
        b"no \t end",
    )

    @pytest.mark.parametrize("relaxed", [False, True])
    @pytest.mark.parametrize("body", BODIES)
    @pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
    def test_it_is_the_digest_of_the_whole(self, body: bytes, size: int, relaxed: bool) -> None:
        whole = (Relaxed if relaxed else Simple).canonicalize_body(body)
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        assert body_digest(pieces, relaxed=relaxed) == hashlib.sha256(whole).digest()

    @pytest.mark.parametrize("relaxed", [False, True])
    def test_any_mixture_in_any_pieces(self, relaxed: bool) -> None:
        chance = random.Random(6376)
        for _ in range(400):
            body = b"".join(chance.choice([b" ", b"\t", b"\r\n", b"x", b"yz"]) for _ in range(chance.randrange(40)))
            body += chance.choice([b"\r\n", b"x"])  # white space without a line end behind it comes from nobody
            cuts = sorted(chance.randrange(len(body) + 1) for _ in range(4))
            pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
            whole = (Relaxed if relaxed else Simple).canonicalize_body(body)
            assert body_digest(pieces, relaxed=relaxed) == hashlib.sha256(whole).digest(), body

    @pytest.mark.parametrize("relaxed", [False, True])
    @pytest.mark.parametrize("piece", [b" " * 65_536, b"\r\n" * 32_768, b"\t x" * 20_000, b" \r\n" * 20_000])
    def test_it_holds_nothing_back(self, piece: bytes, relaxed: bool) -> None:
        """A message of 30 MB of nothing but white space needs no more memory than one of text."""

        def pieces() -> Iterator[bytes]:
            for _ in range(500):
                yield piece
            yield b"x"

        tracemalloc.start()
        try:
            body_digest(pieces(), relaxed=relaxed)
            assert tracemalloc.get_traced_memory()[1] < 6_000_000
        finally:
            tracemalloc.stop()


class TestSigning:
    async def test_dkimpy_believes_it(self, key: DkimKey) -> None:
        asked: list[bytes] = []

        def text(name: bytes, timeout: int = 5) -> bytes:
            asked.append(name)
            return key.record.encode()

        assert dkim.verify(signed(key), dnsfunc=text)
        assert asked == [b"s1._domainkey.alfa.example."]
        assert not dkim.verify(signed(key).replace(b"perizia", b"Perizia"), dnsfunc=text)

    async def test_mail_dkim_believes_it(self, key: DkimKey) -> None:
        """Another implementation, in another language, that asks for the key over a socket."""
        perl = perl_with_dkim()
        async with serving(zone(key)) as port:
            assert await judged_by(perl, port, signed(key)) == "pass"
            assert (await judged_by(perl, port, signed(key).replace(b"Perizia", b"perizia"))).startswith("fail")

    async def test_what_is_sealed_stays_as_it_is(self, keys: DkimKeys) -> None:
        made = (await DkimSigner(keys)(Octets.of(MESSAGE), 1, AT)).read()
        assert made.endswith(MESSAGE)
        assert made[: -len(MESSAGE)].startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=alfa.example;")
        assert made[: -len(MESSAGE)].endswith(b"\r\n")

    @pytest.mark.parametrize("name", [b"From", b"Subject", b"To", b"Reply-To", b"Content-Type", b"Date"])
    async def test_nobody_can_add_a_field_in_front(self, key: DkimKey, name: bytes) -> None:
        raw = signed(key)
        assert [one.result for one in await judged(raw, zone(key))] == [Result.PASS]
        added = name + b": x@evil.example\r\n" + raw
        assert [one.result for one in await judged(added, zone(key))] == [Result.FAIL]

    @pytest.mark.parametrize(
        "start",
        [
            b"From: anna@other.example\r\n",  # no key of that domain
            b"From: a@alfa.example, b@alfa.example\r\n",
            b"From: a@alfa.example\r\nFrom: b@alfa.example\r\n",
            b"Subject: x\r\n",
        ],
    )
    async def test_what_has_no_key_or_no_one_author_leaves_as_it_is(self, keys: DkimKeys, start: bytes) -> None:
        message = Octets.of(start + b"\r\nx\r\n")
        assert await DkimSigner(keys)(message, 1, AT) is message

    async def test_a_key_that_others_can_read_is_not_used_and_mail_leaves_all_the_same(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        made = DkimKeys(tmp_path)
        made.make(DOMAIN, "s1")
        (tmp_path / DOMAIN / "s1.pem").chmod(0o644)
        message = Octets.of(MESSAGE)
        assert await DkimSigner(DkimKeys(tmp_path))(message, 1, AT) is message
        assert "without a DKIM signature" in caplog.text

    async def test_a_message_to_many_domains_is_hashed_once(self, keys: DkimKeys) -> None:
        signer = DkimSigner(keys)
        first = await signer(Octets.of(MESSAGE), 1, AT)
        assert (await signer(Octets.of(MESSAGE), 1, AT.replace(hour=9))).read() == first.read()
        assert (await signer(Octets.of(MESSAGE), 2, AT.replace(hour=9))).read() != first.read()

    def test_a_large_message_never_stands_in_memory(self, key: DkimKey) -> None:
        class Long:
            sha256 = b"\0" * 32
            size = 40_000_000

            def pieces(self, start: int, stop: int) -> Iterator[bytes]:
                for at in range(start, stop, 65_536):
                    yield b"x" * min(65_536, stop - at)

        rope = Octets.of(MESSAGE, Octets.whole(Long()))
        tracemalloc.start()
        try:
            dkim_signature(rope, scan_header(rope), key, AT)
            assert tracemalloc.get_traced_memory()[1] < 4_000_000
        finally:
            tracemalloc.stop()


class TestKeys:
    def test_the_first_is_in_use_at_once_and_the_next_when_it_is_published(self, tmp_path: Path) -> None:
        made = DkimKeys(tmp_path)
        assert made.current(DOMAIN) is None
        made.make(DOMAIN, "s1")
        made.make(DOMAIN, "s2")
        found = made.current(DOMAIN)
        assert found is not None
        assert found.selector == "s1"
        made.use(DOMAIN, "s2")
        elsewhere = DkimKeys(tmp_path).current(DOMAIN)
        assert elsewhere is not None
        assert (elsewhere.selector, made.selectors(DOMAIN)) == ("s2", ["s1", "s2"])
        made.remove(DOMAIN, "s1")
        with pytest.raises(KeyRefused, match="in use"):
            made.remove(DOMAIN, "s2")
        assert made.selectors(DOMAIN) == ["s2"]

    def test_a_selector_is_never_used_again_and_an_unknown_one_never(self, tmp_path: Path) -> None:
        made = DkimKeys(tmp_path)
        made.make(DOMAIN, "s1")
        with pytest.raises(FileExistsError):
            made.make(DOMAIN, "s1")
        with pytest.raises(KeyRefused):
            made.use(DOMAIN, "s9")

    def test_only_the_owner_reads_a_key(self, tmp_path: Path) -> None:
        DkimKeys(tmp_path).make(DOMAIN, "s1")
        assert (tmp_path / DOMAIN / "s1.pem").stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("word", ["", "../s1", ".s1"])
    def test_a_pointer_to_nowhere_is_refused(self, tmp_path: Path, word: str) -> None:
        made = DkimKeys(tmp_path)
        made.make(DOMAIN, "s1")
        (tmp_path / DOMAIN / "current").write_text(word)
        with pytest.raises(KeyRefused):
            DkimKeys(tmp_path).current(DOMAIN)


class TestChecking:
    @pytest.mark.parametrize("canonical", [(b"simple", b"simple"), (b"relaxed", b"simple"), (b"relaxed", b"relaxed")])
    async def test_what_dkimpy_signed_is_believed(self, key: DkimKey, canonical: tuple[bytes, bytes]) -> None:
        field = dkim.DKIM(MESSAGE).sign(b"s1", DOMAIN.encode(), key_pem(key.private), canonicalize=canonical)
        [found] = await judged(field + MESSAGE, zone(key))
        assert found == Dkim(result=Result.PASS, domain=DOMAIN, selector="s1")
        [found] = await judged(field + MESSAGE.replace(b"In allegato", b"in allegato"), zone(key))
        assert (found.result, found.reason) == (Result.FAIL, "body hash did not verify")
        [found] = await judged(field + MESSAGE.replace(b"Perizia", b"perizia"), zone(key))
        assert (found.result, found.reason) == (Result.FAIL, "signature did not verify")

    async def test_part_of_a_body_proves_nothing_of_the_rest(self, key: DkimKey) -> None:
        field = dkim.DKIM(MESSAGE).sign(b"s1", DOMAIN.encode(), key_pem(key.private), length=True)
        assert [one.result for one in await judged(field + MESSAGE, zone(key))] == [Result.PASS]
        [found] = await judged(field + MESSAGE + b"and more\r\n", zone(key))
        assert (found.result, found.reason) == (Result.NEUTRAL, "only a part of the body is signed")

    @pytest.mark.parametrize(
        ("record", "result", "reason"),
        [
            ([], Result.PERMERROR, "no key published"),
            (["v=DKIM1; p="], Result.PERMERROR, "key or signature cannot be read"),
            (["v=DKIM1; k=rsa; p=AAAA"], Result.PERMERROR, "key or signature cannot be read"),
            (["v=DKIM1; k=rsa; p=%%%"], Result.PERMERROR, "key or signature cannot be read"),
            (["v=DKIM9; p=AAAA"], Result.PERMERROR, "key or signature cannot be read"),
            (
                ["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
                Result.NEUTRAL,
                "key type not known",
            ),
            (["nonsense"], Result.PERMERROR, "key or signature cannot be read"),
        ],
    )
    async def test_what_the_domain_publishes(
        self, key: DkimKey, record: list[str], result: Result, reason: str
    ) -> None:
        [found] = await judged(signed(key), Zone({f"{key.record_name} TXT": record}))
        assert (found.result, found.reason) == (result, reason)

    async def test_nobody_can_tell(self, key: DkimKey) -> None:
        [found] = await judged(signed(key), Zone({}, broken=frozenset({key.record_name})))
        assert found.result is Result.TEMPERROR

    async def test_no_signature_is_no_verdict(self, key: DkimKey) -> None:
        assert await judged(MESSAGE, zone(key)) == []

    async def test_a_few_signatures_are_looked_at(self, key: DkimKey) -> None:
        wrong = signed(key)[: -len(MESSAGE)].replace(b"bh=", b"bh=AAAA")
        raw = wrong * 20 + signed(key)
        found = await judged(raw, zone(key))
        assert [one.result for one in found] == [Result.FAIL] * MAX_SIGNATURES

    @pytest.mark.parametrize(
        "field",
        [
            b"",
            b"v=1",
            b"v=1; a=rsa-sha1; b=AA; bh=AA; d=alfa.example; h=from; s=s1",
            b"v=1; a=rsa-sha512; b=AA; bh=AA; d=alfa.example; h=from; s=s1",
            b"v=2; a=rsa-sha256; b=AA; bh=AA; d=alfa.example; h=from; s=s1",
            b"v=1; a=rsa-sha256; b=AA; bh=AA; d=\xff.example; h=from; s=s1",
            b"v=1; a=rsa-sha256; b=AA; bh=AA; d=alfa.example; h=subject; s=s1",
            b"v=1; a=rsa-sha256; b=AA; bh=AA; d=alfa.example; i=x@beta.example; h=from; s=s1",
            b"v=1; a=rsa-sha256; b=AA; bh=AA; d=alfa.example; h=from; s=s1; l=-1",
            b"v=1; a=rsa-sha256; b=AA; bh=AA; d=alfa.example; h=from; s=s1; x=abc",
            b"v=1; v=1; a=rsa-sha256; b=AA; bh=AA; d=alfa.example; h=from; s=s1",
            b"=;" * 100,
            b"v=1; a=rsa-sha256;" + b" \r\n" * 1_000 + b" b=AA",
            b"v=1; b=" + b" " * 5_000,
            b"v=1; h=" + b"from:" * 10_000,
            b"v=1; " + b"b=" * 2_900,
        ],
    )
    async def test_no_field_is_too_odd_or_takes_long(self, key: DkimKey, field: bytes) -> None:
        raw = b"DKIM-Signature: " + field + b"\r\n" + MESSAGE
        [found] = await judged(raw, zone(key))
        assert found.result in {Result.PERMERROR, Result.FAIL}

    async def test_a_header_of_a_thousand_fields_is_not_gone_through(self, key: DkimKey) -> None:
        raw = b"X: y\r\n" * 1_000 + signed(key)
        [found] = await judged(raw, zone(key))
        assert (found.result, found.reason) == (Result.PERMERROR, "header too long")
