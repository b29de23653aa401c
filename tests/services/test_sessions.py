import pytest

from wa_admin.extensions import db, writing
from wa_admin.models import Event, Look, Message, MessageStatus, Reason, Status, WhatsAppSession
from wa_admin.refusal import Refusal
from wa_admin.services import gateways, roster, sessions, timeline, watch


def create(name="Support line", **more):
    return sessions.create(1, name, actor="cli", **more)


def kinds():
    return [event.kind for event in timeline.page(1).items]


@pytest.fixture
def roomy(make_app):
    """A panel that may keep ten sessions."""
    app = make_app(WA_MAX_SESSIONS="10")
    with app.app_context():
        gateways.ensure()
        yield app


def test_the_first_session_becomes_the_default(app):
    assert create().is_default
    assert kinds() == ["session_created"]


def test_a_session_id_is_made_from_the_name(app):
    assert create("Café São Paulo!").session_id == "cafe_sao_paulo"


def test_names_without_letters_get_an_id_too(app):
    assert create("☎️ 客服").session_id == "session"


def test_a_second_session_is_refused_with_the_limit_and_the_way_out(app):
    create()
    with pytest.raises(sessions.LimitReached, match="1 session at most.*WA_MAX_SESSIONS"):
        create("Other")
    assert WhatsAppSession.count(1) == 1


def test_names_are_unique_whatever_their_case(roomy):
    create("Support")
    with pytest.raises(sessions.NameTaken):
        create("SUPPORT")


def test_session_ids_are_unique_at_one_gateway(roomy):
    create("One", session_id="main")
    with pytest.raises(sessions.SessionIdTaken):
        create("Two", session_id="main")


def test_generated_ids_step_aside(roomy):
    create("A b", session_id="a_b_2")
    create("a-b")
    assert create("a b!").session_id == "a_b_3"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": "   "}, "name_missing"),
        ({"name": "x" * 81}, "name_too_long"),
        ({"name": "a\x00b"}, "name_bad"),
        ({"name": "a\nb"}, "name_bad"),
        ({"name": "\u200d"}, "name_bad"),
        ({"name": "\u2800\u3164"}, "name_bad"),
        ({"name": "a\ud800"}, "name_bad"),
        ({"session_id": "Has Space"}, "session_id_bad"),
        ({"session_id": "../etc"}, "session_id_bad"),
        ({"session_id": "x" * 65}, "session_id_bad"),
        ({"phone_number": "hello"}, "bad_number"),
        ({"phone_number": "120363023456789012"}, "group_id"),
        ({"description": "x" * 501}, "description_bad"),
        ({"description": "a\x07"}, "description_bad"),
        ({"description": "a\ud800"}, "description_bad"),
    ],
)
def test_bad_fields_are_refused_and_nothing_is_written(app, fields, code):
    with pytest.raises(Refusal) as refusal:
        create(**{"name": "Fine", **fields})
    assert refusal.value.code == code
    assert str(refusal.value)
    assert WhatsAppSession.count(1) == 0
    assert db.session.query(Event).count() == 0


def test_emoji_and_markup_are_kept_as_they_are(app):
    assert create("<b>Toko 🛒</b>", description="<script>").name == "<b>Toko 🛒</b>"


def test_only_a_connected_session_becomes_the_default(make_session):
    first = make_session()
    other = make_session("Other", status=Status.DISCONNECTED, reason=Reason.STOPPED)
    with pytest.raises(sessions.NotConnectedYet):
        sessions.make_default(1, other.id, actor="cli")
    assert WhatsAppSession.default(1) is first


def test_a_new_default_replaces_the_old_one(make_session):
    make_session()
    other = make_session("Other")
    sessions.make_default(1, other.id, actor="cli")
    assert [one.name for one in roster.listed(1) if one.is_default] == ["Other"]
    assert "default_changed" in kinds()


def test_the_schema_itself_refuses_a_second_default(make_session):
    make_session()
    with pytest.raises(Exception, match="UNIQUE|unique constraint"):
        make_session("Other", is_default=True)


def test_the_schema_itself_refuses_an_unknown_status(connected):
    with pytest.raises(Exception, match="CHECK|check constraint"), writing():
        db.session.execute(db.text("UPDATE whatsapp_session SET status = 'qr'"))


def test_the_default_session_stays_unless_forced(stub, connected):
    with pytest.raises(sessions.DefaultStays):
        sessions.delete(1, connected.id, actor="cli")
    assert stub.asked == []
    sessions.delete(1, connected.id, force=True, actor="cli")
    assert WhatsAppSession.count(1) == 0


def test_deleting_the_default_promotes_the_oldest(stub, make_session):
    first, second, third = make_session(), make_session("Second"), make_session("Third")
    sessions.delete(1, first.id, force=True, actor="cli")
    assert WhatsAppSession.default(1).name == second.name
    assert third.name == "Third"


def test_messages_outlive_their_session(stub, connected, make_message):
    waiting = make_message(connected)
    sessions.delete(1, connected.id, force=True, actor="cli")
    db.session.expire_all()
    kept = db.session.get_one(Message, waiting.id)
    assert (kept.status, kept.session_id, kept.session_name) == (
        MessageStatus.CANCELLED,
        None,
        "Support line",
    )


def test_cleanup_keeps_the_oldest_and_says_what_it_removed(stub, make_session):
    oldest = make_session(is_default=False, is_active=False)
    make_session("Second", is_default=True)
    cleaned = sessions.cleanup(1, actor="cli")
    assert [one.name for one in cleaned.removed] == ["Second"]
    kept = roster.find(1, oldest.id)
    assert kept.is_default
    assert kept.is_active


def test_a_dry_cleanup_changes_nothing(stub, make_session):
    make_session()
    make_session("Second")
    assert len(sessions.cleanup(1, dry_run=True, actor="cli").removed) == 1
    assert WhatsAppSession.count(1) == 2
    assert stub.asked == []


def test_switching_off_disconnects_and_keeps_the_login(stub, connected):
    wa_session = sessions.edit(1, connected.id, is_active=False, actor="cli")
    assert wa_session.look == Look.INACTIVE
    assert "POST /instance/stop/support_line" in stub.routes_asked()


def test_a_switch_off_is_followed_when_the_gateway_is_back(stub, connected):
    stub.script["stop"] = [None]
    assert not sessions.edit(1, connected.id, is_active=False, actor="cli").is_active
    assert connected.status == Status.CONNECTED
    watch.reconcile()
    assert (connected.status, connected.reason) == (Status.DISCONNECTED, Reason.STOPPED)


def test_the_session_id_is_fixed_once_linked(connected):
    with pytest.raises(Refusal, match="fixed"):
        sessions.edit(1, connected.id, session_id="new_id", actor="cli")


def test_editing_writes_one_line_with_what_changed(connected):
    sessions.edit(1, connected.id, name="New name", description="Front desk", actor="sari@example.com")
    line = timeline.page(1).items[0]
    assert (line.kind, line.detail["changed"]) == ("session_edited", ["name", "description"])


def test_pausing_holds_what_is_accepted(connected):
    wa_session = sessions.pause(1, connected.id, actor="cli")
    assert wa_session.look == Look.PAUSED
    assert not wa_session.can_send
    assert sessions.resume(1, connected.id, actor="cli").can_send
