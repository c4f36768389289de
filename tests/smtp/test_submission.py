"""Submission over sockets: sign-in under TLS alone, whose address, how much, and what the flow says (D13 to D17)."""

import asyncio
import base64
import logging
from collections.abc import Callable

import pytest

from gateway.flows.outcomes import NotAccepted, Peer, SignInFailure, SubmitOutcome
from gateway.flows.sessions import LiveSessions
from receipts.errors import SigningUnavailable, TemporaryError
from tests.smtp.client import Client, connected_pair, until
from tests.smtp.conftest import House, Tls
from tests.smtp.fakes import ANNA, PASSWORD

Houses = Callable[..., House]

ANNA_USER = "anna@alfa.example"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PLAIN = encoded(f"\0{ANNA_USER}\0{PASSWORD}")


async def holder(built: House, tls: Tls, **options: str) -> Client:
    """A client that is signed in on the implicit-TLS port."""
    _, port = await built.submission(implicit_tls=True)
    client = await Client.connect(port, tls.client)
    await client.sign_in(**options)
    return client


@pytest.mark.req("AP-01")
async def test_a_holder_hands_in_a_message(house: Houses, tls: Tls) -> None:
    built = house()
    client = await holder(built, tls)
    await client.begin("bruno@alfa.example", "carla@beta.example")
    assert await client.send(b"Subject: x\r\n\r\ntext\r\n") == "250 2.6.0 <1.2@alfa.example> accepted"
    (submission,) = built.flows.submissions
    assert submission.holder is ANNA
    assert submission.reverse_path == "anna@alfa.example"
    assert submission.forward_paths == ("bruno@alfa.example", "carla@beta.example")
    assert submission.message.read() == b"Subject: x\r\n\r\ntext\r\n"
    assert submission.peer.tls
    assert (submission.peer.address, submission.peer.helo) == ("127.0.0.1", "client.example")
    assert (await client.say("QUIT")).startswith("221 ")


@pytest.mark.req("AP-01")
async def test_what_is_announced_is_what_works(house: Houses, tls: Tls) -> None:
    built = house(max_message_bytes=5_000)
    _, port = await built.submission()
    client = await Client.connect(port)
    common = ["mx.alfa.example", "PIPELINING", "SIZE 5000", "8BITMIME"]
    clear = (await client.say("EHLO client.example")).split("\n")
    assert [line[4:] for line in clear] == [*common, "STARTTLS", "ENHANCEDSTATUSCODES"]
    await client.start_tls(tls.client)
    encrypted = (await client.say("EHLO client.example")).split("\n")
    assert [line[4:] for line in encrypted] == [*common, "AUTH PLAIN LOGIN", "ENHANCEDSTATUSCODES"]
    assert (await client.say("STARTTLS")).startswith("503 5.5.1 ")


@pytest.mark.req("AP-02", "AP-03", "SEC-02")
async def test_in_clear_nobody_signs_in_and_nothing_is_taken(house: Houses) -> None:
    built = house()
    _, port = await built.submission()
    client = await Client.connect(port)
    assert "AUTH" not in await client.say("EHLO client.example")
    assert (await client.say(f"AUTH PLAIN {PLAIN}")).startswith("538 5.7.11 ")
    assert (await client.say("AUTH LOGIN")).startswith("538 5.7.11 ")
    assert (await client.say("MAIL FROM:<anna@alfa.example>")).startswith("530 5.7.0 ")
    assert (await client.say("RCPT TO:<bruno@alfa.example>")).startswith("503 5.5.1 ")
    assert (await client.say("DATA")).startswith("503 5.5.1 ")
    assert built.flows.sign_ins == []


@pytest.mark.req("AP-02")
async def test_without_signing_in_nothing_is_taken(house: Houses, tls: Tls) -> None:
    built = house()
    _, port = await built.submission()
    client = await Client.connect(port)
    await client.say("EHLO client.example")
    await client.start_tls(tls.client)
    await client.say("EHLO client.example")
    assert (await client.say("MAIL FROM:<anna@alfa.example>")).startswith("530 5.7.0 ")
    wrong = encoded(f"\0{ANNA_USER}\0wrong")
    assert (await client.say(f"AUTH PLAIN {wrong}")).startswith("535 5.7.8 ")
    assert (await client.say("MAIL FROM:<anna@alfa.example>")).startswith("530 5.7.0 ")
    assert (await client.say("RCPT TO:<bruno@alfa.example>")).startswith("503 ")
    assert (await client.say("DATA")).startswith("503 ")
    assert built.flows.submissions == []


@pytest.mark.req("AP-02")
async def test_what_was_signed_in_before_tls_counts_no_more(house: Houses, tls: Tls) -> None:
    built = house()
    _, port = await built.submission()
    client = await Client.connect(port)
    await client.say("EHLO client.example")
    await client.start_tls(tls.client)
    assert (await client.say(f"AUTH PLAIN {PLAIN}")).startswith("503 5.5.1 ")  # EHLO must come again
    await client.sign_in()
    assert (await client.say(f"AUTH PLAIN {PLAIN}")).startswith("503 5.5.1 ")


@pytest.mark.parametrize(
    "dialogue",
    [
        [f"AUTH PLAIN {PLAIN}"],
        [f"auth plain {PLAIN}"],
        ["AUTH PLAIN", PLAIN],
        [f"AUTH PLAIN {encoded(f'{ANNA_USER}{chr(0)}{ANNA_USER}{chr(0)}{PASSWORD}')}"],
        ["AUTH LOGIN", encoded(ANNA_USER), encoded(PASSWORD)],
        [f"AUTH login {encoded(ANNA_USER)}", encoded(PASSWORD)],
    ],
)
async def test_ways_to_sign_in(house: Houses, tls: Tls, dialogue: list[str]) -> None:
    built = house()
    _, port = await built.submission(implicit_tls=True)
    client = await Client.connect(port, tls.client)
    await client.say("EHLO client.example")
    replies = [await client.say(line) for line in dialogue]
    assert [reply[:4] for reply in replies] == ["334 "] * (len(dialogue) - 1) + ["235 "]
    ((user, password, peer),) = built.flows.sign_ins
    assert (user, password) == (ANNA_USER, PASSWORD)
    assert peer == Peer(address="127.0.0.1", port=peer.port, tls=True, helo="client.example")
    await client.begin()


async def test_login_asks_what_outlook_expects(house: Houses, tls: Tls) -> None:
    built = house()
    _, port = await built.submission(implicit_tls=True)
    client = await Client.connect(port, tls.client)
    await client.say("EHLO client.example")
    assert await client.say("AUTH LOGIN") == f"334 {encoded('Username:')}"
    assert await client.say(encoded(ANNA_USER)) == f"334 {encoded('Password:')}"


@pytest.mark.parametrize(
    ("dialogue", "reply"),
    [
        (["AUTH"], "501 5.5."),
        (["AUTH PLAIN ==="], "501 5.5.2 "),
        (["AUTH PLAIN ="], "501 5.5.2 "),
        (["AUTH PLAIN", "*"], "501 5.7.0 "),
        (["AUTH PLAIN", "not base64!"], "501 5.5.2 "),
        ([f"AUTH PLAIN {encoded('only one part')}"], "501 5.5.2 "),
        ([f"AUTH PLAIN {encoded(chr(0).join('abcd'))}"], "501 5.5.2 "),
        (["AUTH LOGIN", "*"], "501 5.7.0 "),
        (["AUTH LOGIN", encoded("x"), "*"], "501 5.7.0 "),
        (["AUTH CRAM-MD5"], "504 5.5.4 "),
        ([f"AUTH PLAIN {base64.b64encode(bytes([0, 255, 0, 255])).decode()}"], "535 5.7.8 "),
        ([f"AUTH PLAIN {encoded(f'somebody{chr(0)}{ANNA_USER}{chr(0)}{PASSWORD}')}"], "535 5.7.8 "),
    ],
)
async def test_ways_not_to_sign_in(house: Houses, tls: Tls, dialogue: list[str], reply: str) -> None:
    built = house()
    _, port = await built.submission(implicit_tls=True)
    client = await Client.connect(port, tls.client)
    await client.say("EHLO client.example")
    *_, last = [await client.say(line) for line in dialogue]
    assert last.startswith(reply)
    assert (await client.say("MAIL FROM:<anna@alfa.example>")).startswith("530 ")


@pytest.mark.parametrize(
    ("outcome", "reply"),
    [
        (SignInFailure.WRONG, "535 5.7.8 "),
        (SignInFailure.BUSY, "454 4.7.0 "),
        (SignInFailure.TOO_MANY, "454 4.7.0 "),
        (TemporaryError("database"), "454 4.7.0 "),
        (RuntimeError("bug"), "454 4.7.0 "),
    ],
)
async def test_sign_in_says_no(house: Houses, tls: Tls, outcome: SignInFailure | Exception, reply: str) -> None:
    built = house()
    built.flows.sign_in_outcome = outcome
    _, port = await built.submission(implicit_tls=True)
    client = await Client.connect(port, tls.client)
    await client.say("EHLO client.example")
    assert (await client.say(f"AUTH PLAIN {PLAIN}")).startswith(reply)
    assert (await client.say("MAIL FROM:<anna@alfa.example>")).startswith("530 ")


async def test_three_wrong_passwords_end_the_session(house: Houses, tls: Tls) -> None:
    built = house()
    _, port = await built.submission(implicit_tls=True)
    client = await Client.connect(port, tls.client)
    await client.say("EHLO client.example")
    wrong = encoded(f"\0{ANNA_USER}\0wrong")
    for _ in range(3):
        assert (await client.say(f"AUTH PLAIN {wrong}")).startswith("535 ")
    assert (await client.reply()).startswith("421 4.7.0 ")
    assert await client.gone()


async def test_no_password_and_no_content_reaches_a_log(
    house: Houses, tls: Tls, caplog: pytest.LogCaptureFixture
) -> None:
    built = house()
    caplog.set_level(logging.DEBUG)
    client = await holder(built, tls)
    await client.say(f"AUTHPLAIN {PLAIN}")
    built.flows.submit_outcome = RuntimeError("bug")
    await client.begin()
    await client.send(b"Subject: unsayable\r\n\r\nunsayable\r\n")
    for secret in (PASSWORD, PLAIN, "unsayable", "bruno@alfa.example"):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("MAIL FROM:<anna@alfa.example> SMTPUTF8", "555 5.5.4 "),
        ("MAIL FROM:<perch\u00e9@alfa.example>", "553 5.6.7 "),
        ("MAIL FROM:<anna@citt\u00e0.example>", "553 5.6.7 "),
    ],
)
async def test_what_needs_smtputf8_is_refused_in_so_many_words(
    house: Houses, tls: Tls, command: str, answer: str
) -> None:
    """Certified mail knows ASCII addresses alone: domains travel as A-labels, local parts of other letters do not."""
    client = await holder(house(), tls)
    assert (await client.say(command)).startswith(answer)


@pytest.mark.edge("O1")
@pytest.mark.req("AP-04", "AP-02")
@pytest.mark.parametrize("path", ["bruno@alfa.example", "anna@beta.example", "", "anna@alfa.example.evil.example"])
async def test_the_reverse_path_must_be_the_holders(house: Houses, tls: Tls, path: str) -> None:
    client = await holder(house(), tls)
    assert (await client.say(f"MAIL FROM:<{path}>")).startswith("553 5.7.1 ")
    assert (await client.say("RCPT TO:<bruno@alfa.example>")).startswith("503 ")


@pytest.mark.req("AP-04")
@pytest.mark.parametrize("path", ["anna@alfa.example", "Anna@ALFA.example", '"anna"@alfa.example', "info@alfa.example"])
async def test_the_reverse_path_may_be_any_of_the_holders(house: Houses, tls: Tls, path: str) -> None:
    built = house()
    client = await holder(built, tls)
    assert (await client.say(f"MAIL FROM:<{path}>")).startswith("250 2.1.0 ")
    await client.say("RCPT TO:<bruno@alfa.example>")
    await client.send(b"Subject: x\r\n")
    assert built.flows.submissions[0].reverse_path == path


async def test_a_service_box_submits_nothing(house: Houses, tls: Tls) -> None:
    client = await holder(house(), tls, user="posta-certificata@alfa.example")
    assert (await client.say("MAIL FROM:<posta-certificata@alfa.example>")).startswith("550 5.7.1 ")


async def test_unknown_mailboxes_and_literals_are_left_to_the_flow(house: Houses, tls: Tls) -> None:
    built = house()
    client = await holder(built, tls)
    await client.begin("nobody@alfa.example", "x@[192.0.2.1]", "a%b@alfa.example")
    await client.send(b"Subject: x\r\n")
    assert built.flows.submissions[0].forward_paths == ("nobody@alfa.example", "x@[192.0.2.1]", "a%b@alfa.example")


async def test_the_auth_parameter_is_taken_and_not_believed(house: Houses, tls: Tls) -> None:
    client = await holder(house(), tls)
    assert (await client.say("MAIL FROM:<anna@alfa.example> AUTH=<>")).startswith("250 ")
    assert (await client.say(f"AUTH PLAIN {PLAIN}")).startswith("503 ")  # not within a transaction


@pytest.mark.parametrize(
    ("outcome", "reply"),
    [
        (NotAccepted("7@alfa.example"), "250 2.6.0 <7@alfa.example> not accepted, notice issued"),
        (SigningUnavailable("the key is locked"), "451 4.3.0 Try again later"),
        (TemporaryError("disk"), "451 4.3.0 Try again later"),
        (RuntimeError("bug"), "451 4.3.0 Try again later"),
    ],
)
async def test_outcomes_and_errors_of_the_flow(
    house: Houses, tls: Tls, outcome: SubmitOutcome | Exception, reply: str
) -> None:
    built = house()
    built.flows.submit_outcome = outcome
    client = await holder(built, tls)
    await client.begin()
    assert await client.send(b"Subject: x\r\n") == reply
    assert (await client.say("MAIL FROM:<anna@alfa.example>")).startswith("250 ")


async def test_nothing_is_acknowledged_before_it_is_kept(house: Houses, tls: Tls) -> None:
    built = house()
    built.flows.gate = asyncio.Event()
    client = await holder(built, tls)
    await client.begin()
    sending = asyncio.create_task(client.send(b"Subject: x\r\n"))
    await until(lambda: built.flows.submissions)
    await asyncio.sleep(0.02)
    assert not sending.done()
    built.flows.gate.set()
    assert (await sending).startswith("250 ")


async def test_a_flow_that_began_ends_though_the_client_is_gone(house: Houses, tls: Tls) -> None:
    built = house()
    built.flows.gate = asyncio.Event()
    client = await holder(built, tls)
    (server,) = built.servers
    await client.begin()
    sending = asyncio.create_task(client.send(b"Subject: x\r\n"))
    await until(lambda: built.flows.submissions)
    sending.cancel()
    client.reset()
    await until(lambda: server.door.open == 0)
    assert len(server.flows) == 1
    built.flows.gate.set()
    await until(lambda: not server.flows)


async def test_a_message_cut_off_reaches_no_flow(house: Houses, tls: Tls) -> None:
    built = house(memory_bytes=2)
    client = await holder(built, tls)
    (server,) = built.servers
    await client.begin()
    await client.say("DATA")
    await client.write(b"Subject: x\r\n")
    await until(lambda: built.sinks.opened)
    client.reset()
    await until(lambda: built.sinks.opened[0].aborted)
    await until(lambda: server.door.open == 0)
    assert built.flows.submissions == []


@pytest.mark.edge("E18")
@pytest.mark.req("AP-16")
async def test_a_message_far_too_big_is_refused(house: Houses, tls: Tls) -> None:
    built = house(max_message_bytes=1_000)
    client = await holder(built, tls)
    assert (await client.say("MAIL FROM:<anna@alfa.example> SIZE=1001")).startswith("552 5.3.4 ")
    await client.begin()
    assert (await client.send(b"x" * 98 + b"\r\n" + b"y" * 899 + b"\r\n")).startswith("552 5.3.4 ")
    await client.begin()
    assert (await client.send(b"x" * 98 + b"\r\n" + b"y" * 898 + b"\r\n")).startswith("250 ")
    assert [len(submission.message) for submission in built.flows.submissions] == [1_000]


@pytest.mark.req("QOS-01")
async def test_as_many_recipients_as_the_limit_says_and_no_more(house: Houses, tls: Tls) -> None:
    built = house(max_recipients=50)
    client = await holder(built, tls)
    await client.begin(*(f"box{number}@beta.example" for number in range(50)))
    assert (await client.say("RCPT TO:<one.more@beta.example>")).startswith("452 4.5.3 ")
    await client.send(b"Subject: x\r\n")
    assert len(built.flows.submissions[0].forward_paths) == 50


async def test_messages_of_an_account_in_an_hour(house: Houses, tls: Tls, caplog: pytest.LogCaptureFixture) -> None:
    built = house(messages_per_hour=2)
    client = await holder(built, tls)
    for _ in range(2):
        await client.begin()
        assert (await client.send(b"Subject: x\r\n")).startswith("250 ")
    assert (await client.say("MAIL FROM:<anna@alfa.example>")).startswith("450 4.7.1 ")
    assert [record.__dict__["alarm"] for record in caplog.records if record.message == "account sends too much"]
    built.clock.advance(7_200)
    assert (await client.say("MAIL FROM:<anna@alfa.example>")).startswith("250 ")


async def test_recipients_of_an_account_in_a_day(house: Houses, tls: Tls) -> None:
    built = house(recipients_per_day=3)
    client = await holder(built, tls)
    await client.begin("a@beta.example", "b@beta.example")
    assert (await client.send(b"Subject: x\r\n")).startswith("250 ")
    await client.begin("a@beta.example", "b@beta.example")
    assert (await client.say("DATA")).startswith("450 4.7.1 ")
    await client.say("RSET")
    await client.begin("a@beta.example")
    assert (await client.send(b"Subject: x\r\n")).startswith("250 ")


async def test_without_room_nothing_begins(house: Houses, tls: Tls) -> None:
    built = house()
    client = await holder(built, tls)
    built.has_room = False
    assert (await client.say("MAIL FROM:<anna@alfa.example>")).startswith("452 4.3.1 ")
    built.has_room = True
    await client.begin()
    built.has_room = False
    assert (await client.say("DATA")).startswith("452 4.3.1 ")


async def test_no_message_begins_beyond_the_budget(house: Houses, tls: Tls) -> None:
    built = house(max_in_flight_bytes=10)
    client = await holder(built, tls)
    assert built.budget.take(10)
    assert (await client.say("MAIL FROM:<anna@alfa.example>")).startswith("452 4.3.1 ")
    built.budget.give_back(10)
    await client.begin()
    assert (await client.send(b"Subject: too long\r\n")).startswith("452 4.3.1 ")


async def test_connections_without_anybody_signed_in(house: Houses, tls: Tls) -> None:
    built = house(max_unauthenticated_connections=1)
    _, port = await built.submission()
    first = await Client.connect(port)
    turned_away = await Client.connect(port, greeting=False)
    assert (await turned_away.reply()).startswith("421 4.7.0 ")
    await first.say("EHLO client.example")
    await first.start_tls(tls.client)
    await first.sign_in()
    await Client.connect(port)


async def test_connections_in_the_middle_of_a_handshake_count(house: Houses) -> None:
    built = house(max_connections=1)
    server, port = await built.submission(implicit_tls=True)
    await Client.connect(port, greeting=False)
    await until(lambda: server.door.open == 1)
    second = await Client.connect(port, greeting=False)
    assert (await second.reply()).startswith("421 4.7.0 ")


async def test_a_handshake_has_its_time(house: Houses) -> None:
    built = house(handshake_seconds=0.05)
    server, port = await built.submission(implicit_tls=True)
    client = await Client.connect(port, greeting=False)
    assert await client.gone()
    await until(lambda: server.door.open == 0)


async def test_signing_in_has_its_time(house: Houses, tls: Tls) -> None:
    built = house(sign_in_seconds=60)
    server, port = await built.submission(implicit_tls=True)
    slow, signed_in = await Client.connect(port, tls.client), await Client.connect(port, tls.client)
    await signed_in.sign_in()
    built.clock.advance(59)
    await slow.say("NOOP")
    await signed_in.say("NOOP")
    built.clock.advance(2)
    server.sweep()
    assert (await slow.reply()).startswith("421 4.4.2 ")
    assert await slow.gone()
    assert (await signed_in.say("NOOP")).startswith("250 ")


async def test_a_sign_in_left_hanging_is_sent_away(house: Houses, tls: Tls) -> None:
    built = house(sign_in_seconds=60)
    server, port = await built.submission(implicit_tls=True)
    client = await Client.connect(port, tls.client)
    await client.say("EHLO client.example")
    assert (await client.say("AUTH LOGIN")).startswith("334 ")
    built.clock.advance(61)
    server.sweep()
    assert (await client.reply()).startswith("421 4.4.2 ")


async def test_what_follows_starttls_is_discarded_and_the_session_ends(house: Houses) -> None:
    built = house()
    _, port = await built.submission()
    client = await Client.connect(port)
    await client.write(b"EHLO client.example\r\nSTARTTLS\r\nAUTH PLAIN " + PLAIN.encode() + b"\r\n")
    assert (await client.reply()).startswith("250-")
    assert (await client.reply()).startswith("554 5.7.0 ")
    assert await client.gone()
    assert built.flows.sign_ins == []


async def test_bytes_before_the_greeting_are_refused(house: Houses) -> None:
    built = house()
    server, _ = await built.submission()
    theirs, ours = await connected_pair(b"EHLO client.example\r\n")
    await asyncio.get_running_loop().connect_accepted_socket(lambda: server.protocol(implicit_tls=False), ours)
    client = Client(*theirs)
    assert (await client.reply()).startswith("554 5.5.1 ")
    assert await client.gone()


async def test_a_disabled_account_loses_its_sessions(house: Houses, tls: Tls) -> None:
    built = house()
    active = {ANNA.account_id}

    async def active_among(accounts: object) -> set[int]:
        return active

    built.live = LiveSessions(active_among)
    client = await holder(built, tls)
    other = await holder(built, tls)
    await other.say("QUIT")
    other.close()
    await until(lambda: built.servers[1].door.open == 0)
    assert await built.live.sweep() == 0
    active.clear()
    assert await built.live.sweep() == 1
    assert (await client.reply()).startswith("421 4.7.0 ")
    assert await client.gone()


async def test_a_bug_in_a_command_is_answered(
    house: Houses, tls: Tls, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = await holder(house(), tls)
    monkeypatch.setattr("gateway.smtp.session.Session.mail", _fail)
    assert (await client.say("MAIL FROM:<anna@alfa.example>")) == "451 4.3.0 Try again later"
    assert "Traceback" in caplog.text
    assert "anna@alfa.example" not in caplog.text


def _fail(*_: object) -> None:
    raise RuntimeError("bug")


async def test_stopping_finishes_what_began(house: Houses, tls: Tls) -> None:
    built = house()
    built.flows.gate = asyncio.Event()
    server, port = await built.submission(implicit_tls=True)
    busy, idle = await Client.connect(port, tls.client), await Client.connect(port, tls.client)
    await busy.sign_in()
    await busy.begin()
    sending = asyncio.create_task(busy.send(b"Subject: x\r\n"))
    await until(lambda: built.flows.submissions)
    stopping = asyncio.create_task(server.close(grace_seconds=60))
    assert (await idle.reply()).startswith("421 4.3.2 ")
    built.flows.gate.set()
    assert (await sending).startswith("250 ")
    assert (await busy.reply()).startswith("421 4.3.2 ")
    await stopping


async def test_large_messages_go_through_the_sink(house: Houses, tls: Tls) -> None:
    built = house(memory_bytes=100_000)
    client = await holder(built, tls)
    await client.begin()
    message = (b"x" * 76 + b"\r\n") * 20_000
    assert (await client.send(message)).startswith("250 ")
    (sink,) = built.sinks.opened
    assert sink.finished
    assert built.flows.submissions[0].message.read() == message
    assert max(map(len, sink.written)) <= 1_000_000
