"""The ManageSieve server over real sockets and real TLS (RFC 5804)."""

import base64
import json
import logging
from collections.abc import Awaitable, Callable

import pytest

from gateway.flows.outcomes import SignInFailure
from gateway.mailbox.managesieve import replies
from receipts.errors import TemporaryError
from tests.mailbox.house import PASSWORD
from tests.mailbox.managesieve.house import ANNA, House, Talker, plain
from tests.passing import pass_time

MakeHouse = Callable[..., Awaitable[House]]


async def test_the_greeting_says_what_works_before_tls_and_after_it(house: House, talker: Talker) -> None:
    before = (await talker.answer()).split(b"\r\n")
    assert b'"STARTTLS"' in before
    assert b'"SASL" ""' in before
    assert b'"VERSION" "1.0"' in before
    assert any(line.startswith(b'"SIEVE" "') and b" fileinto " in line for line in before)
    after = (await talker.begin_tls(house.tls)).split(b"\r\n")
    assert b'"STARTTLS"' not in after
    assert b'"SASL" "PLAIN LOGIN"' in after
    assert await talker.asked(b'AUTHENTICATE "PLAIN" "' + plain() + b'"') == b"OK"
    assert f'"OWNER" "{ANNA}"'.encode() in await talker.asked(b"CAPABILITY")


@pytest.mark.req("SEC-02")
async def test_no_password_is_taken_in_clear(house: House, talker: Talker) -> None:
    await talker.answer()
    assert (await talker.asked(b'AUTHENTICATE "PLAIN" "' + plain() + b'"')).startswith(b"NO (ENCRYPT-NEEDED)")
    assert house.peers == []


async def test_what_is_said_in_clear_does_not_count_under_tls(house: House, talker: Talker) -> None:
    await talker.answer()
    talker.say(b"STARTTLS", b'AUTHENTICATE "PLAIN" "' + plain() + b'"')
    assert (await talker.answer()).startswith(b"OK")
    assert await talker.left_alone() == b""
    assert house.peers == []


async def test_scripts_are_put_listed_activated_renamed_and_removed(house: House, inside: Talker) -> None:
    script = 'require "fileinto";\r\nfileinto "Città";\r\n'.encode()
    inside.say(b'PUTSCRIPT "uno" {%d+}\r\n' % len(script) + script)
    assert await inside.answer() == b"OK"
    assert await inside.asked(b'PUTSCRIPT "due \\"e\\" mezzo" "keep;"') == b"OK"
    assert await inside.asked(b"LISTSCRIPTS") == b'"due \\"e\\" mezzo"\r\n"uno"\r\nOK'
    assert await inside.asked(b'SETACTIVE "uno"') == b"OK"
    assert await inside.asked(b"listscripts") == b'"due \\"e\\" mezzo"\r\n"uno" ACTIVE\r\nOK'
    assert await inside.asked(b'GETSCRIPT "uno"') == b"{%d}\r\n" % len(script) + script + b"\r\nOK"
    assert await inside.asked(b'DELETESCRIPT "uno"') == replies.REFUSED_SCRIPTS[replies.Refusal.ACTIVE][:-2]
    assert await inside.asked(b'RENAMESCRIPT "uno" "tre"') == b"OK"
    assert (
        await inside.asked(b'RENAMESCRIPT "tre" "due \\"e\\" mezzo"')
        == b'NO (ALREADYEXISTS) "There is such a script already."'
    )
    assert await inside.asked(b'SETACTIVE ""') == b"OK"
    assert await inside.asked(b'DELETESCRIPT "tre"') == b"OK"
    assert await inside.asked(b'GETSCRIPT "tre"') == b'NO (NONEXISTENT) "There is no such script."'
    assert {name for _, name in house.drawer.kept} == {'due "e" mezzo'}


async def test_what_is_wrong_is_said_with_line_and_column(house: House, inside: Talker) -> None:
    inside.say(b'PUTSCRIPT "x" {15+}\r\nkeep;\r\n  keep?;')
    assert await inside.answer() == b"NO \"line 2: column 7: '?' begins nothing here\""
    assert await inside.asked(b'CHECKSCRIPT "keep; reject;"') == (
        b'NO "line 1: column 7: reject: there is no such command: certified mail cannot be refused or sent back once'
        b' it is here: its delivery receipt has been sent"'
    )
    assert await inside.asked(b'CHECKSCRIPT "# attento"') == b'OK (WARNINGS) "attento"'
    assert house.drawer.kept == {}


async def test_space_is_promised_as_far_as_there_is(inside: Talker) -> None:
    assert await inside.asked(b'HAVESPACE "x" 65536') == b"OK"
    assert (await inside.asked(b'HAVESPACE "x" 65537')).startswith(b"NO (QUOTA/MAXSIZE)")


async def test_noop_gives_its_tag_back(talker: Talker) -> None:
    await talker.answer()
    assert await talker.asked(b"NOOP") == b"OK"
    assert await talker.asked(b'NOOP "x\\"y"') == b'OK (TAG "x\\"y") "Done."'


async def test_login_and_plain_with_challenges(house: House, talker: Talker) -> None:
    await talker.answer()
    await talker.begin_tls(house.tls)
    assert await talker.ask(b'AUTHENTICATE "LOGIN"') == b'"VXNlcm5hbWU6"'
    assert await talker.ask(b'"' + base64.b64encode(ANNA.encode()) + b'"') == b'"UGFzc3dvcmQ6"'
    secret = base64.b64encode(PASSWORD.encode())
    assert await talker.asked(b"{%d+}\r\n" % len(secret) + secret) == b"OK"
    other = await Talker.connect(house.port)
    assert isinstance(other, Talker)
    await other.answer()
    await other.begin_tls(house.tls)
    assert await other.ask(b'AUTHENTICATE "plain"') == b'""'
    assert await other.asked(b'"*"') == b'NO "Sign-in given up."'
    assert await other.ask(b'AUTHENTICATE "plain"') == b'""'
    assert await other.asked(b'"' + plain() + b'"') == b"OK"
    assert [peer.tls for peer in house.peers] == [True, True]


@pytest.mark.parametrize("why", SignInFailure)
async def test_a_failed_sign_in_says_why_and_ends_after_some(house: House, talker: Talker, why: SignInFailure) -> None:
    await talker.answer()
    await talker.begin_tls(house.tls)
    house.failure = why
    for _ in range(2):
        assert await talker.asked(b'AUTHENTICATE "PLAIN" "' + plain() + b'"') == replies.REFUSED[why][:-2]
    talker.say(b'AUTHENTICATE "PLAIN" "' + plain() + b'"')
    assert await talker.left_alone() == replies.REFUSED[why] + replies.TOO_MANY_FAILURES


@pytest.mark.parametrize(
    "line",
    [
        b"LISTSCRIPTS",
        b'PUTSCRIPT "x" "keep;"',
        b'GETSCRIPT "x"',
        b'SETACTIVE "x"',
        b'CHECKSCRIPT "x"',
        b'HAVESPACE "x" 1',
    ],
)
async def test_strangers_do_nothing_with_scripts(house: House, talker: Talker, line: bytes) -> None:
    await talker.answer()
    assert await talker.asked(line) == b'NO "Not now."'
    await talker.begin_tls(house.tls)
    assert await talker.asked(line) == b'NO "Not now."'


async def test_nobody_sees_the_scripts_of_another(house: House, inside: Talker) -> None:
    house.drawer.kept["bruno@alfa.example", "suo"] = b"keep;"
    assert await inside.asked(b"LISTSCRIPTS") == b"OK"
    assert (await inside.asked(b'GETSCRIPT "suo"')).startswith(b"NO (NONEXISTENT)")


async def test_a_script_too_large_is_read_to_its_end_for_nothing(house: House, inside: Talker) -> None:
    inside.say(b'PUTSCRIPT "x" {100000+}\r\n' + b"#" * 100_000)
    assert await inside.answer() == replies.TOO_LARGE[:-2]
    assert await inside.asked(b"NOOP") == b"OK"
    assert house.drawer.kept == {}


async def test_a_literal_without_end_ends_the_connection(inside: Talker) -> None:
    inside.say(b'PUTSCRIPT "x" {4000000000+}')
    assert await inside.left_alone() == replies.LONG


async def test_a_stranger_sends_little(house: House, talker: Talker) -> None:
    await talker.answer()
    talker.say(b"NOOP {9000+}\r\n" + b"x" * 9_000)
    assert await talker.answer() == replies.TOO_LARGE[:-2]
    talker.writer.write(b"N" * 20_000)
    assert await talker.left_alone() == replies.LONG
    assert house.peers == []


async def test_too_many_mistakes_end_the_session(inside: Talker) -> None:
    inside.say(*[b"PLEASE"] * 10)
    assert (await inside.left_alone()).endswith(b'NO "Command not known."\r\n' + replies.TOO_MANY_BAD)


async def test_a_storage_that_is_away_is_said_to_be(house: House, inside: Talker) -> None:
    house.drawer.broken = TemporaryError("away")
    assert await inside.asked(b"LISTSCRIPTS") == replies.FAILED[:-2]
    house.drawer.broken = None
    assert await inside.asked(b"LISTSCRIPTS") == b"OK"


async def test_a_client_that_waits_too_long_is_told(make_house: MakeHouse) -> None:
    house = await make_house(idle_seconds=300)
    client = await Talker.connect(house.port)
    assert isinstance(client, Talker)
    await client.inside(house.tls)
    await pass_time(301)
    assert await client.left_alone() == replies.TIMEOUT


async def test_logout_and_a_server_that_stops(house: House, inside: Talker) -> None:
    other = await Talker.connect(house.port)
    assert isinstance(other, Talker)
    await other.inside(house.tls)
    inside.say(b"LOGOUT")
    assert await inside.left_alone() == replies.FAREWELL
    await house.server.close()
    assert await other.left_alone() == replies.SHUTDOWN


async def test_an_account_that_is_closed_is_shown_out(house: House, inside: Talker) -> None:
    house.active = set()
    await house.live.sweep()
    assert await inside.left_alone() == replies.SIGNED_OUT


async def test_no_script_and_no_password_reaches_a_log(
    house: House, inside: Talker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await inside.asked(b'PUTSCRIPT "geheim" "redirect \\"segreto@mail.example\\";"')
    await inside.asked(b'PUTSCRIPT "geheim" "segreto?"')
    inside.say(b"LOGOUT")
    await inside.left_alone()
    assert house.drawer.kept
    told = json.dumps([[record.getMessage(), str(record.__dict__)] for record in caplog.records])
    assert "segreto" not in told
    assert PASSWORD not in told
