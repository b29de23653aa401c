import pytest

from wa_admin import phone
from wa_admin.extensions import db, writing
from wa_admin.models import Event, Look, Message, MessageStatus, Reason, Status, WhatsAppSession
from wa_admin.refusal import Refusal
from wa_admin.services import gateways, outbox, sessions, timeline, watch


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
        ({"session_id": "Has Space"}, "session_id_bad"),
        ({"session_id": "../etc"}, "session_id_bad"),
        ({"session_id": "x" * 65}, "session_id_bad"),
        ({"phone_number": "hello"}, "bad_number"),
        ({"phone_number": "120363023456789012"}, "group_id"),
        ({"description": "x" * 501}, "description_bad"),
        ({"description": "a\x07"}, "description_bad"),
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


def test_an_unknown_name_lists_the_names_there_are(app):
    create("Support line")
    with pytest.raises(sessions.SessionNotFound, match="There are: Support line"):
        sessions.find(1, "marketing")


def test_a_session_is_found_by_number_id_or_name(app):
    wa_session = create("Support line")
    for key in (wa_session.id, str(wa_session.id), "support_line", "SUPPORT line"):
        assert sessions.find(1, key) is wa_session


def test_a_session_of_another_workspace_is_not_found(app):
    create()
    with pytest.raises(sessions.SessionNotFound):
        sessions.find(2, 1)


def test_an_inactive_session_refuses_to_send(connected):
    with writing():
        connected.is_active = False
    with pytest.raises(sessions.SessionInactive, match="switched off"):
        outbox.send(1, "0812-9999-8888", "Halo", source="cli")


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
    assert [one.name for one in sessions.listed(1) if one.is_default] == ["Other"]
    assert "default_changed" in kinds()


def test_the_schema_itself_refuses_a_second_default(make_session):
    make_session()
    with pytest.raises(Exception, match="UNIQUE"):
        make_session("Other", is_default=True)


def test_the_schema_itself_refuses_an_unknown_status(connected):
    with pytest.raises(Exception, match="CHECK"), writing():
        db.session.execute(db.text("UPDATE whatsapp_session SET status = 'qr'"))


def test_linking_shows_a_code_and_installs_the_webhook(stub, app):
    stub.state = "close"
    wa_session = sessions.link(1, create().id, actor="cli")
    assert wa_session.look == Look.WAITING_FOR_SCAN
    assert sessions.qr_of(wa_session).code == "2@a,b,c,d"
    assert f"/hooks/{wa_session.gateway_id}/" in stub.webhook["url"]


def test_the_code_lies_encrypted_in_the_database(stub, app):
    stub.state = "close"
    sessions.link(1, create().id, actor="cli")
    assert "2@" not in db.session.scalar(db.text("SELECT sealed_qr FROM whatsapp_session"))


def test_a_connected_session_is_not_linked_again(stub, connected):
    with pytest.raises(sessions.AlreadyConnected):
        sessions.link(1, connected.id, actor="cli")
    assert stub.asked == []


def test_a_gateway_that_is_down_is_said_in_words(app):
    wa_session = create()
    with pytest.raises(gateways.GatewayRefused, match="gateway cannot be reached"):
        sessions.link(1, wa_session.id, actor="cli")
    assert sessions.find(1, wa_session.id).look == Look.GATEWAY_UNREACHABLE


def test_disconnecting_keeps_the_login(stub, connected):
    wa_session = sessions.disconnect(1, connected.id, actor="sari@example.com")
    assert (wa_session.status, wa_session.reason) == (Status.DISCONNECTED, Reason.STOPPED)
    assert wa_session.linked_at


def test_logging_out_ends_the_login(stub, connected):
    wa_session = sessions.logout(1, connected.id, actor="sari@example.com")
    assert (wa_session.reason, wa_session.linked_at) == (Reason.STOPPED, None)
    assert wa_session.look == Look.NEVER_LINKED


def test_replacing_shows_codes_for_another_number(stub, connected):
    wa_session = sessions.replace(1, connected.id, phone_number="0811 234 5678", actor="cli")
    assert wa_session.phone_number == "628112345678"
    assert wa_session.look == Look.WAITING_FOR_SCAN
    assert stub.routes_asked()[0] == "DELETE /instance/logout/support_line"


def test_cancelling_a_link_stops_the_codes(stub, app):
    stub.state = "close"
    wa_session = sessions.link(1, create().id, actor="cli")
    wa_session = sessions.cancel_link(1, wa_session.id, actor="cli")
    assert wa_session.look == Look.NEVER_LINKED
    assert sessions.qr_of(wa_session) is None


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
    kept = sessions.find(1, oldest.id)
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


@pytest.mark.parametrize(
    ("typed", "region", "used"),
    [
        ("0812-3456-7890", "ID", "6281234567890"),
        ("+62 812-3456-7890", "BR", "6281234567890"),
        ("0062 812 3456 7890", "ID", "6281234567890"),
        ("6281234567890@s.whatsapp.net", "ID", "6281234567890"),
        ("6281234567890:12@s.whatsapp.net", "ID", "6281234567890"),
        ("81234567890", "ID", "6281234567890"),
        ("62811234567", "ID", "62811234567"),
        ("0811123456", "ID", "62811123456"),
        ("5511998765432", "ID", "5511998765432"),
        ("11998765432", "BR", "5511998765432"),
        ("55991234567", "BR", "5555991234567"),
        ("120363023456789012", "ID", "120363023456789012@g.us"),
        ("628123456789-1487654321", "ID", "628123456789-1487654321@g.us"),
        ("91052067847739@lid", "ID", "91052067847739@lid"),
    ],
)
def test_numbers_are_read_as_people_write_them(app, typed, region, used):
    assert phone.recipient(typed, region).address == used


@pytest.mark.parametrize("typed", ["", "abc", "12", "0812<b>", "0812\x00", "x" * 200, "me@example.com"])
def test_what_is_no_number_is_refused_with_a_sentence(app, typed):
    with pytest.raises(phone.BadNumber) as refusal:
        phone.recipient(typed, "ID")
    assert str(refusal.value)
