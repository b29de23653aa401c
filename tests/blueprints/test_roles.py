"""Who may do what, written out once more: a change of a grant or of a decorator must be made here too."""

import pytest
from sqlalchemy import update
from two_workspaces import ask, furnish_other_workspace, routes

from wa_admin.extensions import db, writing
from wa_admin.models import Role, User
from wa_admin.permissions import KEY_SCOPES, Permission
from wa_admin.services import api_keys, logins

# what a role may do; `own` goes by the person
MAY = {
    "admin": {"look", "send", "pause", "link", "manage"},
    "supervisor": {"look", "pause"},
    "operator": {"look", "send"},
}
# what a route asks for; `key`: of an app's key as well
ROUTES = {
    "public": """
        auth.language auth.login auth.logout auth.setup docs.index docs.openapi hooks.receive
        joining.accept joining.join chats.open_file link_pass.answer_passkey link_pass.compare_passkey_code
        link_pass.panel link_pass.passkey_challenge link_pass.picture link_pass.show link_pass.start
        link_pass.start_by_phone probes.healthz probes.metrics probes.readyz second_factor.ask_passkey
        second_factor.log_in_with_passkey second_factor.second_step
    """,
    "look": """
        activity.health_page activity.index auth.confirm chats.changes chats.file chats.index chats.show
        chats.thread chats.unread messages.changes messages.index messages.show
        messages.steps second_factor.add_passkey second_factor.app second_factor.ask_new_passkey
        second_factor.confirm_with_passkey second_factor.index second_factor.remove_app
        second_factor.remove_passkey second_factor.renew_codes sessions.card sessions.day sessions.home
        sessions.latest sessions.news sessions.show sessions.status settings.account settings.end_login
        settings.end_other_logins settings.index settings.password workspaces.enter
    """,
    "send": """
        chats.mark_read chats.reply doubts.arrived doubts.index doubts.send_again
        messages.ask_to_retry messages.cancel messages.it_arrived messages.new messages.resend_as_new
        messages.retry
    """,
    "pause": """
        sessions.pause sessions.resume
    """,
    "link": """
        codes.show link_pass.make link_pass.revoke link_passkeys.answer link_passkeys.challenge
        link_passkeys.confirm link_passkeys.deny sessions.cancel_link sessions.confirm
        sessions.connect sessions.disconnect sessions.link sessions.link_by_phone sessions.link_page
        sessions.link_panel sessions.logout sessions.replace sessions.restart
    """,
    "manage": """
        chats.erase chats.export chats.removal
        activity.audit_csv activity.audit_log alerts.edit alerts.index alerts.new alerts.pause
        alerts.remove alerts.resume alerts.test existing.enter gateways.move_session gateways.sync_sessions
        people.add people.assign people.index people.invite people.keep_out people.let_in people.new
        people.person people.reset_password people.revoke people.set_role second_factor.require
        second_factor.reset sessions.activate sessions.cleanup sessions.delete sessions.edit
        sessions.make_default sessions.new settings.keys settings.revoke_key settings.spread webhooks.edit
        webhooks.index webhooks.pause webhooks.removal webhooks.resend webhooks.resend_failed webhooks.resume
        webhooks.rotation webhooks.show webhooks.test
    """,
    "own": """
        gateways.add gateways.change_key gateways.change_secret gateways.edit gateways.forget_secret
        gateways.index gateways.install_webhooks gateways.kinds gateways.remove gateways.show
        gateways.show_address gateways.test workspaces.edit workspaces.index workspaces.join
        workspaces.remove
    """,
    "key look": """
        api_chats.index api_chats.messages
        api_admin.index api_v1.list_messages api_v1.list_sessions api_v1.show_message api_v1.status
    """,
    "key send": """
        api_v1.cancel api_v1.it_arrived api_v1.retry api_v1.send
    """,
    "key link": """
        api_passkeys.answer api_passkeys.challenge api_passkeys.confirm api_passkeys.show
        api_v1.connect api_v1.disconnect api_v1.logout api_v1.qr_code api_v1.refresh_qr api_v1.restart
    """,
    "key manage": """
        api_admin.create api_admin.delete api_admin.edit api_v1.delete api_v1.init api_v1.move
        api_v1.set_primary api_v1.sync_sessions api_webhooks.add api_webhooks.edit api_webhooks.index
        api_webhooks.log api_webhooks.remove api_webhooks.resend api_webhooks.resend_failed
        api_webhooks.rotate api_webhooks.show api_webhooks.test
    """,
}
REFUSES_BY_ITSELF = ("people.reset_password", "second_factor.reset")  # an account that opens more


@pytest.fixture
def table():
    return {endpoint: needed for needed, endpoints in ROUTES.items() for endpoint in endpoints.split()}


@pytest.fixture
def busy(app, make_session, make_message):
    make_message(make_session())
    furnish_other_workspace()
    with writing():
        db.session.execute(update(User).values(is_owner=False))
    return app


def declared(app):
    for rule in app.url_map.iter_rules():
        needs = getattr(app.view_functions[rule.endpoint], "needs", None)
        if needs is not None:
            kind = "key " if needs.by_key else ""
            yield rule.endpoint, kind + (needs.permission.value if needs.permission else "public")


def test_every_route_asks_for_what_is_written_here(app, table):
    assert dict(declared(app)) == table


def test_every_role_has_what_is_written_here(signed_in, app):
    for role in Role:
        person = signed_in(role)
        with person.session_transaction() as cookie:
            identity = logins.identify(cookie[logins.COOKIE_KEY])
        assert {one.value for one in Permission if identity.may(one) and one != "own"} == MAY[role]


@pytest.mark.figure("cells of roles, routes and whose row it is, as the table says")
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("number", [1, 777], ids=["own", "of another workspace"])
def test_a_role_gets_as_far_as_the_table_says(busy, signed_in, table, role, number, record_property):
    wrong, met, person = [], 0, signed_in(role)
    for method, endpoint, path, _asks in routes(busy, number):
        needed = table.get(endpoint, "public").removeprefix("key ")
        if needed == "public" or endpoint in REFUSES_BY_ITSELF:
            continue
        met += 1
        status = ask(person, method, path).status_code
        if (status == 403) != (needed not in MAY[role]):
            wrong.append((method, path, status))
    record_property("counted", met)
    assert wrong == [] and person.get("/messages").status_code == 200  # nothing has ended the login


@pytest.mark.parametrize("scope", KEY_SCOPES)
def test_a_key_gets_as_far_as_its_scope(busy, client, table, scope):
    _key, raw = api_keys.issue(1, "a", scopes=[scope], actor="cli")
    wrong = []
    for method, endpoint, path, _asks in routes(busy):
        if table.get(endpoint, "").startswith("key "):
            status = ask(client, method, path, headers={"Authorization": f"Bearer {raw}"}).status_code
            if (status == 403) != (table[endpoint] != f"key {scope}"):
                wrong.append((method, path, status))
    assert wrong == []


def test_a_key_of_all_scopes_is_refused_nothing(busy, client, table):
    headers = {"Authorization": "Bearer " + api_keys.issue(1, "a", actor="cli")[1]}
    calls = [one for one in routes(busy) if table.get(one[1], "").startswith("key ")]
    answers = {ask(client, method, path, headers=headers).status_code for method, _, path, _ in calls}
    assert len(calls) > 15 and not answers & {401, 403}


def test_a_refused_key_says_what_it_may(client, app):
    _key, raw = api_keys.issue(1, "a", scopes=[Permission.LOOK], actor="cli")
    response = client.post("/api/v1/messages/send/", json={}, headers={"Authorization": f"Bearer {raw}"})
    assert response.status_code == 403 and response.json["error"]["code"] == "forbidden"
    assert "no more than: see sessions and messages" in response.json["error"]["message"]


def test_only_an_owner_gets_to_gateways_and_workspaces(busy, signed_in, table):
    own = [one for one in routes(busy) if table.get(one[1]) == "own"]
    for method, _endpoint, path, _asks in own:
        assert ask(signed_in(Role.ADMIN), method, path).status_code == 403, path
    with writing():
        db.session.execute(update(User).filter_by(email="supervisor@example.com").values(is_owner=True))
    for method, _endpoint, path, _asks in own:
        if method == "GET":
            assert ask(signed_in(Role.SUPERVISOR), method, path).status_code in (200, 404, 405), path
    assert len(own) > 8
