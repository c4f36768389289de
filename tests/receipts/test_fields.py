"""Values of header fields: encoded words, parameters, comments."""

import time

import pytest

from receipts.fields import MAX_PARAMETERS, decode_words, parse_parameters, unfold, without_comments


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b" Perizia", "Perizia"),
        (b" Perizia\r\n n. 12", "Perizia n. 12"),
        (b" =?utf-8?Q?citt=C3=A0?=", "città"),
        (b" =?UTF-8?B?Y2l0dMOg?=", "città"),
        (b" =?ISO-8859-1?q?citt=E0?=", "città"),
        (b" =?windows-1252?q?=80?=", "€"),
        (b" =?utf-8*it?q?citt=C3=A0?=", "città"),
        (b" =?utf-8?q?la_mia?= =?utf-8?q?_citt=C3=A0?=", "la mia città"),
        (b" =?utf-8?q?la?=\r\n =?utf-8?q?_mia?=", "la mia"),
        (b" =?utf-8?q?la?= mia =?utf-8?q?citt=C3=A0?=", "la mia città"),
        (b" =?utf-8?q?citt=C3?= =?utf-8?q?=A0?=", "città"),
        (b" =?utf-8?q?a?= =?iso-8859-1?q?=E0?=", "aà"),
        (b" =?utf-8?b?Y2l0dMOg", "=?utf-8?b?Y2l0dMOg"),
        (b" =?utf-8?b?Y2l0dMOg?= =?utf-8?b?YQ?=", "cittàa"),
        (b" =?utf-8?b?A?=", "=?utf-8?b?A?="),
        (b" =?x-unknown?q?a?=", "=?x-unknown?q?a?="),
        (b" =?punycode?q?a-?=", "=?punycode?q?a-?="),
        (b" =?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x"),
        (b" =?utf-8?q?=FF?=", "\ufffd"),
        (b" citt\xc3\xa0", "città"),
        (b" citt\xe0", "città"),
        (b" a\x00b\tc\x85d", "a b c d"),
        ("già =?utf-8?q?citt=C3=A0?=", "già città"),
        (b"", ""),
    ],
)
def test_decodes_words(value: bytes | str, text: str) -> None:
    assert decode_words(value) == text


def test_unfolding_loses_no_byte() -> None:
    every = bytes(range(33, 256))
    assert unfold(b" \t" + every + b"\r\n " + every + b" ").encode("latin-1") == every + b" " + every


@pytest.mark.parametrize(
    ("value", "word", "parameters"),
    [
        (b"", "", {}),
        (b" text/plain", "text/plain", {}),
        (b" Text/Plain ; Charset=UTF-8", "text/plain", {"charset": "UTF-8"}),
        (b' a/b; name="x; y.pdf"; z = 1', "a/b", {"name": "x; y.pdf", "z": "1"}),
        (b' a/b; name="a\\"b\\\\c"', "a/b", {"name": 'a"b\\c'}),
        (b" a/b;\r\n\tboundary=\"-- x\"", "a/b", {"boundary": "-- x"}),
        (b" a/b; name=my file (1).pdf; x=y", "a/b", {"name": "my file (1).pdf", "x": "y"}),
        (b" a/b; name=one; name=two", "a/b", {"name": "one"}),
        (b" a/b (comment); x=y", "a/b", {"x": "y"}),
        (b' a/b; name="unclosed; x=y', "a/b", {"name": '"unclosed', "x": "y"}),
        (b" a/b;;; =x; y; z=", "a/b", {"z": ""}),
        (b" a/b; name*=utf-8'it'citt%C3%A0.pdf", "a/b", {"name": "città.pdf"}),
        (b" a/b; name*0*=utf-8''citt%C3; name*1*=%A0; name*2=\".pdf\"", "a/b", {"name": "città.pdf"}),
        (b" a/b; name*1=b; name*0=a; name*3=d", "a/b", {"name": "ab"}),
        (b" a/b; name=plain; name*=utf-8''better", "a/b", {"name": "better"}),
        (b" a/b; name*=x-unknown''citt%C3%A0", "a/b", {"name": "città"}),
        (b" a/b; name*1=b; na*me=x; na**=y", "a/b", {"na*me": "x", "na**": "y"}),
        (b" a/b; name=citt\xe0", "a/b", {"name": "città"}),
    ],
)  # fmt: skip
def test_reads_parameters(value: bytes, word: str, parameters: dict[str, str]) -> None:
    assert parse_parameters(value) == (word, parameters)


def test_reads_no_more_parameters_than_anybody_needs() -> None:
    _, parameters = parse_parameters(b"a/b" + b"".join(b";p%d=x" % number for number in range(5000)))
    assert list(parameters) == [f"p{number}" for number in range(MAX_PARAMETERS)]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a@b", "a@b"),
        ("a (b) c", "a   c"),
        ("a (b (c\\)) d) e", "a   e"),
        ('"(a)" (b "c) d', '"(a)"   d'),
        ('"a ( b', '"a ( b'),
        ("a (b", None),
        ("a (b\\", None),
        ("a ((b)", None),
        ("a) b", "a) b"),
    ],
)
def test_leaves_comments_out(text: str, plain: str | None) -> None:
    assert without_comments(text) == plain


@pytest.mark.parametrize(
    "piece", [b"=?", b"=?utf-8?q?", b"=?utf-8?q?a?= ", b"=?utf-8?b?YQ==?= x", b";a=b", b';a="', b';a="\\']
)
def test_reading_takes_time_in_proportion_to_the_length(piece: bytes) -> None:
    start = time.process_time()
    value = piece * (256 * 1024 // len(piece))
    decode_words(value)
    parse_parameters(value)
    assert time.process_time() - start < 30
