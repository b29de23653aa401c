"""No look reads a large table from end to end: whatever is asked again and again, an index leads to it."""

import re

import pytest
from chatting import hear, tell
from sqlalchemy import text

from wa_admin import clock
from wa_admin.extensions import db
from wa_admin.services import (
    board,
    chat_search,
    chats,
    clock_back,
    conversation,
    deliveries,
    group_names,
    incoming_files,
    retention,
    stats,
    vitals,
    watch,
)

LARGE = ("chat", "chat_line", "message", "incoming_file", "event")
LOOKS = {
    "list": lambda chat: chats.listed(1),
    "list, further back": lambda chat: chats.listed(1, cursor=chats.cursor_of(chat)),
    "list, unread": lambda chat: chats.listed(1, unread=True),
    "list, poll": lambda chat: chats.version(1),
    "menu": lambda chat: chats.unread(1),
    "chat": lambda chat: conversation.page(chat),
    "chat, further back": lambda chat: conversation.page(chat, "100.100"),
    "chat, from a line": lambda chat: conversation.up_to(chat, 1),
    "chat, poll": lambda chat: conversation.version(1, chat.id),
    "search": lambda chat: chat_search.look_for(1, "halo"),
    "names of groups": lambda chat: group_names.ask(),
    "files": lambda chat: incoming_files.fetch(),
    "attempts under way": lambda chat: deliveries.settle_leases(),
    "attempts of a session": lambda chat: deliveries.interrupt([chat.session_id]),
    "dates of tomorrow": lambda chat: clock_back.mend(),
    "figures": lambda chat: vitals.figures(clock.now()),
    "silence": lambda chat: watch.look_for_silence(clock.now()),
    "one more line": lambda chat: tell(chat.session, "again"),
}


@pytest.fixture
def plans(app, connected, make_message, on_statement):
    """How the database goes about the statements of a look."""

    def of(look):
        make_message(connected, recipient="628111000222")
        chat, statements = hear(connected, sender_lid="91052@lid"), []
        on_statement(lambda _c, _cursor, sql, given, *_: statements.append((sql, given)))
        look(chat)
        asked = [one for one in statements if one[0].lstrip().startswith(("SELECT", "UPDATE"))]
        with db.engine.connect() as connection:
            return [step for sql, given in asked for step in _plan(connection, sql, _whole(given))]

    return of


def _whole(given):
    return given if isinstance(given, dict) else tuple(given)


def _plan(connection, sql, given):
    if connection.dialect.name == "sqlite":
        return [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given)]
    connection.execute(text("SET enable_seqscan = off"))  # tables this small are read whole
    return [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {sql}", given)]


def reads_whole(step):
    """`SCAN message`, which `SCAN message USING INDEX …` is not: that goes along an index up to a limit."""
    whole = re.search(r"^SCAN (\w+)(?! USING)|Seq Scan on (\w+)", step.strip())
    return whole is not None and "VIRTUAL" not in step and (whole[1] or whole[2]) in LARGE


@pytest.mark.parametrize("name", LOOKS)
def test_no_look_reads_a_whole_table(plans, name):
    steps = plans(LOOKS[name])
    assert steps and [step for step in steps if reads_whole(step)] == []


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("look", "index"),
    [
        (lambda chat: board.latest(chat.session, 10), "ix_message_of_session"),
        (lambda chat: stats.today(chat.session, clock.now()), "ix_message_oldest"),
        (lambda chat: conversation.page(chat, "100.100"), "ix_message_to"),
    ],
)
def test_what_has_been_quiet_for_long_is_not_sought_among_all(plans, look, index):
    assert any(index in step for step in plans(look))


@pytest.mark.sqlite
def test_a_file_that_is_dropped_is_not_sought_among_all_messages(app):
    with db.engine.connect() as connection:
        steps = _plan(connection, "DELETE FROM attachment WHERE id = 1", ())
    assert any("ix_message_attachment" in step for step in steps)


def test_a_scan_would_be_noticed(plans):
    steps = plans(
        lambda chat: db.session.execute(text("SELECT count(*) FROM chat_line WHERE kind = 'x'")).all()
    )
    assert any(map(reads_whole, steps))


def test_what_is_old_is_found_from_its_oldest_row(plans):
    steps = plans(lambda chat: retention.tidy())
    walked = [step for step in steps if reads_whole(step)]
    assert [step for step in walked if not step.startswith("SCAN chat")] == []
