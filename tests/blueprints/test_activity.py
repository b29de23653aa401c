import ast
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from markup import read

import wa_admin
from wa_admin import clock, sentences
from wa_admin.extensions import writing
from wa_admin.models import Event, Reason, Role, Status
from wa_admin.services import activity, sessions, timeline

SERVICES = Path(wa_admin.__file__).parent / "services"


def put(kind, wa_session=None, *, ago=timedelta(), actor="admin@example.com", **more):
    with writing():
        event = timeline.record(wa_session, kind, workspace_id=1, actor=actor, **more)
        event.at = clock.now() - ago
    return event


def lines(client, path="/activity"):
    main = read(client.get(path).text).one("main")
    return [line for timeline in main.all("ol", class_="timeline") for line in timeline.all("li")]


def sentence(line):
    return line.all("div")[0].text


def test_who_did_what_is_a_sentence_with_a_name(admin, connected):
    put("unlinked_by_admin", connected, number="6281234567890")
    (line,) = lines(admin)[-1:]
    assert sentence(line) == "Admin unlinked +62 812-3456-7890 from Support line"
    assert line.one("time")["title"]


def test_an_app_is_named_by_its_key(admin, connected, make_message):
    message = make_message(connected)
    put("retried", connected, actor="key:orders-api", message=message.id)
    line = lines(admin)[-1]
    assert sentence(line) == "The key orders-api had a message to +62 812-9999-8888 sent again"
    assert line.one("a")["href"] == f"/messages/{message.id}"


def test_a_failed_message_says_why(admin, connected, make_message):
    put("failed", connected, actor="gateway", message=make_message(connected).id, failure="not_on_whatsapp")
    assert lines(admin)[-1].one("small").text == "This number is not on WhatsApp."


def test_a_break_says_how_long_it_lasted(admin, connected):
    put("status", connected, ago=timedelta(hours=80), actor="gateway", status="connected")
    put("status", connected, ago=timedelta(hours=4), actor="gateway", status="disconnected", reason="network")
    put("status", connected, ago=timedelta(hours=3), actor="gateway", status="connected")
    back, gone = lines(admin)[-3:-1]
    assert back.one("small").text == "It had been away for 1 h."
    assert gone.one("small").text == "It had been connected for 3 d 4 h."


def test_a_break_lasts_until_the_connection_is_back(app, connected):
    put("status", connected, ago=timedelta(hours=9), actor="gateway", status="connected")
    for hours in (5, 3):
        put("status", connected, ago=timedelta(hours=hours), status="disconnected", reason="network")
        put("status", connected, ago=timedelta(hours=hours - 1), status="connecting")
    assert "away" not in "".join(line.note for line in activity.page(1).lines)
    with writing():  # all of them at once
        for _ in range(60):
            put("login", ago=timedelta(hours=1))
    put("status", connected, actor="gateway", status="connected")
    assert activity.page(1).lines[0].note == "It had been away for 5 h."


def test_a_duration_reaches_back_over_the_end_of_the_page(app, connected):
    put("status", connected, ago=timedelta(hours=5), actor="gateway", status="connected")
    with writing():
        for _ in range(60):
            put("login", ago=timedelta(hours=4))
    put("status", connected, actor="gateway", status="disconnected", reason="network")
    newest = activity.page(1).lines[0]
    assert newest.note == "It had been connected for 5 h."


def test_an_act_and_the_change_it_makes_are_one_line(app, connected):
    put("status", connected, ago=timedelta(hours=2), actor="gateway", status="connected")
    put("disconnected_by_admin", connected)
    put("status", connected, status="disconnected", reason="stopped")
    told = activity.page(1).lines
    assert [line.sentence for line in told] == [
        "Admin disconnected Support line",
        "Support line is connected",
    ]
    assert told[0].note == "It had been connected for 2 h."


def test_lines_stand_under_their_days(admin, connected):
    for age in (40, 1, 0):
        put("login", ago=timedelta(days=age))
    headings = [heading.text for heading in read(admin.get("/activity").text).one("main").all("h2")]
    assert headings[:2] == ["Today", "Yesterday"] and len(headings) == 3


@pytest.mark.parametrize(
    "topic, kind", [("connection", "scanned"), ("messages", "paused"), ("people", "key_added")]
)
def test_a_topic_shows_its_own(admin, connected, topic, kind):
    for one in ("scanned", "paused", "key_added"):
        put(one, connected, actor="cli", name="billing")
    shown = activity.page(1, topic).lines
    assert [line.topic for line in shown] and {line.topic for line in shown} == {topic}
    assert admin.get(f"/activity?topic={topic}").status_code == 200


def test_an_unknown_topic_is_not_found(admin):
    assert admin.get("/activity?topic=nonsense").status_code == 404


def test_older_lines_are_a_page_away(admin):
    with writing():
        for n in range(60):
            put("key_added", actor="cli", name=f"key-{n}")
    first = read(admin.get("/activity").text)
    older = read(admin.get(first.one("a", rel="next")["href"]).text)
    assert "key-59" in first.text and "key-0" in older.text and older.one("a", rel="prev")


def test_a_name_that_imitates_html_stays_text(admin, make_session):
    put("paused", make_session("<img src=x>"))
    (line,) = lines(admin, "/activity?topic=messages")
    assert "<img src=x>" in line.text and not line.all("img")


def test_a_line_of_a_later_version_is_shown_too(app, connected):
    put("something_new", connected)
    assert activity.page(1).lines[0].sentence == "Admin: something new"


def test_a_line_that_lacks_a_fact_does_not_fail(app):
    put("unlinked_by_admin")
    assert activity.page(1).lines[0].sentence == "Admin unlinked – from a session"


def test_many_messages_cancelled_at_once_are_counted(app, connected):
    put("cancelled", connected, count=14)
    assert activity.page(1).lines[0].sentence == "Admin cancelled 14 waiting messages of Support line"


def test_a_wrong_number_is_warned_of(app, connected):
    put("linked", connected, actor="gateway", number="628999", wrong_number=True)
    line = activity.page(1).lines[0]
    assert line.tone == "warn" and line.note == "This is not the number that was expected."


def test_what_services_do_shows_up(app, connected):
    sessions.pause(1, connected.id, actor="admin@example.com")
    assert activity.page(1).lines[0].sentence == "Admin paused sending on Support line"


def test_another_workspace_sees_nothing_of_it(app, connected):
    put("paused", connected)
    assert activity.page(2).lines == []


def kinds_on_record():
    """The kinds that services write, as far as they stand there as words."""
    for path in SERVICES.glob("*.py"):
        calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        for call in calls:
            named = getattr(call.func, "attr", "") == "record" and call.args[1:]
            if named and isinstance(named[0], ast.Constant):
                yield named[0].value


def test_every_kind_that_services_write_has_a_topic_and_a_sentence(app, connected):
    kinds = set(kinds_on_record())
    assert len(kinds) > 20
    assert kinds - {kind for kinds in sentences.TOPICS.values() for kind in kinds} == set()
    for kind in kinds - {"status"}:
        put(kind, connected)
    unknown = [f"Admin: {kind.replace('_', ' ')}" for kind in kinds]
    assert [line.sentence for line in activity.page(1).lines if line.sentence in unknown] == []


def test_every_state_has_a_sentence(app):
    for status, reason in product(Status, [None, *Reason]):
        event = Event(kind="status", actor="gateway", status=status, reason=reason, detail={}, at=clock.now())
        assert "a session" in sentences.line(event, sentences.Names({}, {})).sentence


def test_everybody_who_may_look_sees_activity_and_health(signed_in, connected):
    client = signed_in(Role.SUPERVISOR)
    assert [client.get(path).status_code for path in ("/activity", "/health")] == [200, 200]


def test_a_stranger_is_led_to_the_login(client):
    assert "/login" in client.get("/activity").location
    assert "/login" in client.get("/health").location


def test_an_empty_topic_leads_back_to_everything(admin):
    page = read(admin.get("/activity?topic=messages").text)
    assert page.one("div", class_="empty").one("a")["href"] == "/activity"
