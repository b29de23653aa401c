"""Every argument of every command, fed with what nobody meant: one sentence, no crash."""

import pytest
from sqlalchemy import func, select

from wa_admin.extensions import db
from wa_admin.models import Message

TEXTS = [
    "",
    " ",
    "x" * 5000,
    "a\x1b[31mb",
    "😀",
    "<script>alert(1)</script>",
    "\udcff",  # a byte that is no UTF-8
    "\u200b\u2800",
    "nan",
    "inf",
    "-1",
    "9" * 40,
    "1e400",
    "../../etc/passwd",
    "١",
]
COMMANDS = """
sessions add {}
sessions add New --session-id {}
sessions add New --phone {}
sessions add New --description {}
sessions status {}
sessions default {}
sessions disconnect {}
sessions reconnect {}
sessions link {}
sessions link --phone {}
sessions delete {} --yes
send {} x --wait 0
send 081299998888 {} --wait 0
send 081299998888 x --wait 0 --session {}
send 081299998888 x --wait 0 --key {}
send 081299998888 x --wait 0 --valid-for {}
send 081299998888 x --wait 0 --file {}
outbox list --status {}
outbox list --session {}
outbox list --limit {}
outbox retry {}
users add {} --password-stdin
users add a@b.co --password-stdin --name {}
users add a@b.co --password-stdin --role {}
users role {} admin
users password {} --password-stdin
keys add {}
keys revoke {}
"""


@pytest.mark.parametrize("command", COMMANDS.strip().splitlines())
def test_an_odd_argument_is_a_sentence(run, connected, command):
    for text in TEXTS:
        arguments = [text if word == "{}" else word for word in command.split()]
        told = run(*arguments, stdin="short\n")  # a password that is refused, where one is asked for
        assert told.exit_code in (0, 1, 2) and (told.exit_code == 0 or "Error: " in told.output), text


@pytest.mark.parametrize("seconds", ["nan", "inf", "-inf", "-1", "1e400", "4000", "ten", ""])
def test_a_wait_without_end_is_refused(run, connected, seconds):
    told = run("send", "081299998888", "x", "--wait", seconds)
    assert told.exit_code == 2 and "--wait" in told.output
    assert db.session.scalar(select(func.count(Message.id))) == 0


@pytest.mark.parametrize("text", ["\u200b", "\ufe0f\u200d", "\u2800", "\u3164 \u00ad", "\u0301"])
def test_a_message_that_shows_nothing_is_refused(run, connected, text):
    told = run("send", "081299998888", text, "--wait", "0")
    assert told.exit_code == 1 and told.output == "Error: Write a message.\n"


@pytest.mark.parametrize("command", ["send 081299998888 - --wait 0", "users add a@b.co --password-stdin"])
def test_bytes_on_stdin_are_a_sentence(run, connected, command):
    told = run(*command.split(), stdin=b"\xff\xfe" * 10)
    assert told.exit_code == 2 and "stdin is not UTF-8 text" in told.output
