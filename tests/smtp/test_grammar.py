"""Command lines to words, or to the reply they earn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp import replies
from gateway.smtp.grammar import Chunk, ForwardPath, MailFrom, chunk, command, forward_path, mail_from
from gateway.smtp.replies import Reply


def mail(argument: str, *, takes_auth: bool = False) -> MailFrom | Reply:
    return mail_from(argument, max_bytes=1_000, takes_auth=takes_auth)


def rcpt(argument: str) -> ForwardPath | Reply:
    return forward_path(argument, domain="alfa.example")


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("FROM:<>", MailFrom("")),
        ("from:<anna@alfa.example>", MailFrom("anna@alfa.example")),
        ("FROM: <anna@alfa.example> size=1000 body=8bitmime", MailFrom("anna@alfa.example", 1_000, True)),
        ("FROM:<anna@alfa.example> BODY=7BIT", MailFrom("anna@alfa.example")),
        ('FROM:<"a>b c"@alfa.example>', MailFrom('"a>b c"@alfa.example')),
        (r'FROM:<"a\"b"@alfa.example>', MailFrom(r'"a\"b"@alfa.example')),
        ("FROM:<@relay.example:anna@alfa.example>", MailFrom("anna@alfa.example")),
        ("FROM:<anna@[192.0.2.1]>", MailFrom("anna@[192.0.2.1]")),
        ("FROM:<anna@[IPv6:2001:db8::1]>", MailFrom("anna@[IPv6:2001:db8::1]")),
        (f"FROM:<{'x' * 100}@alfa.example>", MailFrom(f"{'x' * 100}@alfa.example")),
        ("FROM:<anna@alfa.example> SIZE=1001", replies.TOO_BIG),
        ("FROM:<anna@alfa.example> SIZE=-1", replies.BAD_ARGUMENT),
        ("FROM:<anna@alfa.example> SIZE=", replies.BAD_ARGUMENT),
        ("FROM:<anna@alfa.example> SIZE=1 SIZE=1", replies.BAD_ARGUMENT),
        (f"FROM:<anna@alfa.example> SIZE={'9' * 19}", replies.BAD_ARGUMENT),
        ("FROM:<anna@alfa.example> BODY=BINARYMIME", replies.BAD_ARGUMENT),
        ("FROM:<anna@alfa.example> SMTPUTF8", replies.UNKNOWN_PARAMETER),
        ("FROM:<anna@alfa.example> AUTH=<>", replies.UNKNOWN_PARAMETER),
        ("FROM:<anna@alfa.example> AUTH=anna", replies.UNKNOWN_PARAMETER),
        ("FROM:<anna@alfa.example>SIZE=1", replies.BAD_ARGUMENT),
        ("FROM:anna@alfa.example", replies.BAD_ARGUMENT),
        ("FROM:<anna@alfa.example", replies.BAD_ARGUMENT),
        ("TO:<anna@alfa.example>", replies.BAD_ARGUMENT),
        ("", replies.BAD_ARGUMENT),
        ("FROM:<anna>", replies.BAD_SENDER_PATH),
        ("FROM:<@alfa.example>", replies.BAD_SENDER_PATH),
        ("FROM:<anna@alfa..example>", replies.BAD_SENDER_PATH),
        ("FROM:<a b@alfa.example>", replies.BAD_SENDER_PATH),
        (f"FROM:<{'x' * 250}@alfa.example>", replies.BAD_SENDER_PATH),
    ],
)
def test_mail(argument: str, expected: MailFrom | Reply) -> None:
    assert mail(argument) == expected


def test_mail_takes_the_auth_parameter_where_sign_in_is_offered() -> None:
    assert mail("FROM:<anna@alfa.example> AUTH=bruno@alfa.example", takes_auth=True) == MailFrom("anna@alfa.example")
    assert mail("FROM:<anna@alfa.example> AUTH=<>", takes_auth=True) == MailFrom("anna@alfa.example")
    assert mail("FROM:<anna@alfa.example> AUTH", takes_auth=True) is replies.UNKNOWN_PARAMETER


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("TO:<bruno@alfa.example>", ForwardPath("bruno@alfa.example")),
        ("To: <Bruno@ALFA.example>", ForwardPath("Bruno@ALFA.example")),
        ("TO:<POSTMASTER>", ForwardPath("POSTMASTER@alfa.example")),
        ("TO:<@a.example,@b.example:bruno@alfa.example>", ForwardPath("bruno@alfa.example", routed=True)),
        ("TO:<a%b.example@alfa.example>", ForwardPath("a%b.example@alfa.example")),
        ("TO:<>", replies.BAD_PATH),
        ("TO:<bruno>", replies.BAD_PATH),
        ("TO:<bruno@alfa.example> NOTIFY=NEVER", replies.UNKNOWN_PARAMETER),
        ("TO:<bruno@alfa.example>,<carla@alfa.example>", replies.BAD_ARGUMENT),
        ("FROM:<bruno@alfa.example>", replies.BAD_ARGUMENT),
    ],
)
def test_rcpt(argument: str, expected: ForwardPath | Reply) -> None:
    assert rcpt(argument) == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("0", Chunk(0, last=False)),
        ("123 LAST", Chunk(123, last=True)),
        ("123 last", Chunk(123, last=True)),
        ("", None),
        ("-1", None),
        ("1 2", None),
        ("1 LAST LAST", None),
        ("LAST", None),
        ("9" * 19, None),
    ],
)
def test_bdat(argument: str, expected: Chunk | None) -> None:
    assert chunk(argument) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"mail from:<x@y>", ("MAIL", "from:<x@y>")),
        (b"NOOP", ("NOOP", "")),
        (b"EHLO  x  ", ("EHLO", "x")),
        (b"", ("", "")),
        ("RCPT TO:<bè@alfa.example>".encode(), replies.NOT_ASCII_PATH),
        ("mail FROM:<bè@alfa.example>".encode(), replies.NOT_ASCII_PATH),
        (b"\xff\xfe", replies.LINE_NOT_ASCII),
    ],
)
def test_command(line: bytes, expected: tuple[str, str] | Reply) -> None:
    assert command(line) == expected


@given(st.text(alphabet='FROMTO:<>@.ab"\\ =[]%!,1é\t', max_size=80))
def test_whatever_comes_there_is_an_answer(argument: str) -> None:
    for prefix in ("", "FROM:<", "TO:<"):
        assert isinstance(mail(prefix + argument), MailFrom | Reply)
        assert isinstance(rcpt(prefix + argument), ForwardPath | Reply)
    assert isinstance(chunk(argument), Chunk | None)


@pytest.mark.parametrize("hostile", ["<" + '"' * 990, "<" + "@a," * 330, "<" + "a." * 490 + "@", "<" + '"\\' * 490])
def test_a_hostile_path_takes_no_time(hostile: str) -> None:
    assert isinstance(mail("FROM:" + hostile), Reply)
    assert isinstance(mail("FROM:" + hostile + ">"), Reply)
