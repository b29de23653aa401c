import json

import pytest
from sqlalchemy import func, select

from wa_admin.extensions import db
from wa_admin.models import Message, MessageStatus


def test_a_message_waits_for_the_phone(run, connected):
    result = run("send", "0812-9999-8888", "Halo 😀", "--wait", "0")
    assert result.exit_code == 0 and "waits" in result.output
    assert db.session.scalar(select(Message.body)) == "Halo 😀"


def test_the_text_may_come_from_stdin(run, connected):
    run("send", "081299998888", "-", "--wait", "0", stdin="from a pipe")
    assert db.session.scalar(select(Message.body)) == "from a pipe"


def test_a_file_goes_along(run, connected, tmp_path):
    (tmp_path / "note.txt").write_text("hello")
    run("send", "081299998888", "see", "--file", str(tmp_path / "note.txt"), "--wait", "0")
    assert db.session.scalar(select(Message)).attachment.filename == "note.txt"


def test_a_key_sends_once(run, connected):
    for _ in range(2):
        run("send", "081299998888", "x", "--key", "order-1042", "--wait", "0")
    assert db.session.scalar(select(func.count(Message.id))) == 1


@pytest.mark.parametrize(
    "arguments", [("nobody", "x"), ("081299998888", ""), ("081299998888", "x", "--session", "Marketing")]
)
def test_what_cannot_be_sent_is_one_sentence(run, connected, arguments):
    result = run("send", *arguments)
    assert result.exit_code == 1 and result.output.startswith("Error: ") and result.output.count("\n") == 1


def test_the_result_can_be_json(run, connected):
    told = json.loads(run("send", "081299998888", "x", "--wait", "0", "--json").output)
    assert (told["status"], told["recipient"], told["source"]) == ("queued", "6281299998888", "cli")


def test_drain_hands_over_what_is_due(stub, run, connected):
    run("send", "081299998888", "x", "--wait", "0")
    assert run("outbox", "drain").output == "1 attempt(s) made.\n"
    assert stub.texts == ["x"]


def test_a_repeat_of_a_failed_message_has_its_exit_code(stub, run, connected, make_message):
    stub.script["sendText"] = [
        (400, {"status": 400, "error": "Bad Request", "response": {"message": ["no"]}})
    ]
    arguments = ("send", "081299998888", "x", "--key", "k", "--wait", "0")
    run(*arguments)
    run("outbox", "drain")
    result = run(*arguments)
    assert result.exit_code == 1 and "is failed" in result.output


def test_the_outbox_is_listed_by_status(run, connected, make_message):
    make_message(connected)
    make_message(connected, status=MessageStatus.FAILED, error_code="rejected")
    lines = run("outbox", "list", "--status", "failed").output.splitlines()
    assert len(lines) == 2 and "rejected" in lines[1]


def test_a_status_that_is_none_lists_those_there_are(run):
    result = run("outbox", "list", "--status", "nope")
    assert result.exit_code == 2 and "queued, sending" in result.output


def test_messages_are_queued_again(run, connected, make_message):
    failed = make_message(connected, status=MessageStatus.FAILED)
    assert f"Message {failed.id} is queued." in run("outbox", "retry", str(failed.id)).output
    assert run("outbox", "retry", "999").exit_code == 1
    assert run("outbox", "retry", "9" * 20).exit_code == 2


def test_doubtful_messages_that_arrived_count_as_sent(run, connected, make_message):
    both = [make_message(connected, status="uncertain") for _ in range(2)]
    said = run("outbox", "arrived", *(str(one.id) for one in both)).output
    assert said.count("is sent.") == 2
    assert run("outbox", "arrived", str(both[0].id)).exit_code == 1
