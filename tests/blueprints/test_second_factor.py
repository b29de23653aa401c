import re
from datetime import timedelta

import pyotp
import pytest
from markup import read
from people import PASSWORD

from wa_admin import clock
from wa_admin.app import vault
from wa_admin.extensions import db, writing
from wa_admin.models import AuditEntry, LoginSession, Passkey, RecoveryCode, Role, User, Workspace
from wa_admin.services import logins, second_factor, throttle, users

WHO = "operator@example.com"
STEP = "/login/second-step"
POLL = {"HX-Request": "true"}


def code_at(secret, **ago):
    return pyotp.TOTP(secret).at(clock.now() - timedelta(**ago))


def user_of(email=WHO):
    db.session.rollback()
    return db.session.scalars(db.select(User).filter_by(email=email)).one()


def give_app(email=WHO):
    """An app that was set up a while ago; its secret."""
    secret = pyotp.random_base32()
    with writing():
        user = db.session.scalars(db.select(User).filter_by(email=email)).one()
        user.sealed_totp_secret = vault().seal(secret)
    logins.forget_cached()
    return secret


def entry_of(action):
    db.session.rollback()
    return db.session.scalars(db.select(AuditEntry).filter_by(action=action)).one()


def log_in(client, password=PASSWORD, email=WHO, **more):
    return client.post("/login", data={"email": email, "password": password, **more})


def token_of(client):
    with client.session_transaction() as cookie:
        return cookie.get(logins.COOKIE_KEY)


@pytest.fixture
def secret(app):
    return give_app()


@pytest.fixture
def waiting(client, secret):
    """Somebody who has typed the password, and nothing else."""
    log_in(client)
    return client


@pytest.fixture
def operator(signed_in):
    return signed_in(Role.OPERATOR)


def set_up_app(client):
    """Through the pages; the answer and the secret."""
    page = read(client.get("/settings/second-factor/app").text)
    secret = page.one("code").text
    sealed = page.one("input", name="sealed")["value"]
    data = {"sealed": sealed, "code": code_at(secret)}
    return client.post("/settings/second-factor/app", data=data), secret


# --- the second step -----------------------------------------------------------------------------


def test_a_password_leads_to_the_second_step_and_keeps_where_to_go(client, secret):
    assert log_in(client, next="/messages").location == f"{STEP}?next=/messages"


def test_a_code_finishes_the_login_under_a_new_id(waiting, secret):
    before = token_of(waiting)
    answer = waiting.post(STEP, data={"code": code_at(secret), "next": "/messages"})
    assert (answer.status_code, answer.location) == (303, "/messages")
    assert token_of(waiting) != before and logins.identify(token_of(waiting)).email == WHO
    assert logins.identify(before) is None and waiting.get("/").status_code == 200


def test_before_it_nothing_opens(app, waiting, connected):
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if getattr(view, "needs", None) is None or view.needs.permission is None:
            continue
        any_of = {name: getattr(kind, "items", ["1"]) for name, kind in rule._converters.items()}
        path = rule.build({name: sorted(items)[0] for name, items in any_of.items()}, False)[1]
        for method in rule.methods & {"GET", "POST", "PUT", "DELETE"}:
            answer = waiting.open(path, method=method)
            assert answer.status_code == (401 if view.needs.by_key else 303), (method, path)


def test_before_it_no_poll_is_answered(waiting, connected, make_session):
    make_session("Other")
    for path in (f"{connected.id}/status", f"{connected.id}/link/panel", "news"):
        answer = waiting.get(f"/sessions/{path}", headers=POLL)
        assert answer.status_code == 401 and answer.headers["HX-Redirect"].startswith("/login")


def test_the_login_page_goes_on_where_somebody_stopped(waiting):
    assert waiting.get("/login?next=/messages").location == f"{STEP}?next=/messages"


def test_somebody_else_can_log_in_instead(waiting):
    waiting.post("/logout")
    assert waiting.get(STEP).location == "/login?next=/"


def test_a_code_works_once(client, waiting, secret):
    code = code_at(secret)
    waiting.post(STEP, data={"code": code})
    waiting.post("/logout")
    log_in(client)
    assert client.post(STEP, data={"code": code}).status_code == 401


@pytest.mark.parametrize(("seconds", "status"), [(0, 303), (30, 303), (-30, 303), (90, 401), (-90, 401)])
def test_codes_of_a_moment_ago_are_taken_and_older_ones_are_not(waiting, secret, seconds, status):
    assert waiting.post(STEP, data={"code": code_at(secret, seconds=seconds)}).status_code == status


def test_an_older_code_is_not_taken_after_a_newer_one(client, waiting, secret):
    waiting.post(STEP, data={"code": code_at(secret)})
    waiting.post("/logout")
    log_in(client)
    assert client.post(STEP, data={"code": code_at(secret, seconds=30)}).status_code == 401


@pytest.mark.parametrize(
    "odd", ["", " ", "000000", "１２３４５６", "12345", "a\x00b", "x" * 5000, "🙂🙂🙂🙂🙂🙂", "' OR 1=1"]
)
def test_odd_codes_are_answered_with_a_sentence(waiting, odd):
    answer = waiting.post(STEP, data={"code": odd})
    assert answer.status_code in (401, 422)
    assert 'class="error"' in answer.text or 'class="notice' in answer.text


def test_guessing_is_throttled_and_the_password_forgives_nothing(client, waiting, secret):
    for _ in range(5):
        waiting.post(STEP, data={"code": "000000"})
    log_in(client)
    answer = client.post(STEP, data={"code": code_at(secret)})
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0


def test_a_login_does_not_wait_for_ever(waiting, secret):
    with writing():
        db.session.query(LoginSession).update({"created_at": clock.now() - timedelta(minutes=11)})
    logins.forget_cached()
    assert waiting.post(STEP, data={"code": code_at(secret)}).location == "/login?next=/"


def test_two_at_once_with_one_code_are_one_login(waiting, secret):
    token, code = token_of(waiting), code_at(secret)
    second_factor.pass_with_code(token, code, address="::1", agent="")
    with pytest.raises(logins.LoginOver):
        second_factor.pass_with_code(token, code, address="::1", agent="")


def test_failed_steps_are_on_record(waiting):
    waiting.post(STEP, data={"code": "000000"})
    entry = entry_of("login_failed")
    assert entry.object == WHO and entry.detail["step"] == "second_factor"


def test_a_login_counts_when_it_is_whole(waiting, secret):
    def count():
        return db.session.query(AuditEntry).filter_by(action="login").count()

    assert count() == 0 and user_of().last_login_at is None
    waiting.post(STEP, data={"code": code_at(secret)})
    db.session.rollback()
    assert count() == 1 and user_of().last_login_at


# --- setting it up -------------------------------------------------------------------------------


def test_an_app_is_set_up_and_recovery_codes_are_shown_once(operator):
    answer, secret = set_up_app(operator)
    codes = re.findall(r"\b[a-z2-9]{5}(?:-[a-z2-9]{5}){4}\b", answer.text)
    assert answer.status_code == 201 and len(set(codes)) == 10
    assert not any(code in operator.get("/settings/second-factor").text for code in codes)
    assert vault().open(user_of().sealed_totp_secret) == secret
    kept = {row.code_hash for row in db.session.query(RecoveryCode)}
    assert len(kept) == 10 and kept.isdisjoint(codes)


def test_the_secret_is_sealed_in_the_page_and_in_the_table(operator):
    _, secret = set_up_app(operator)
    assert secret not in user_of().sealed_totp_secret


def test_setting_up_needs_a_code_of_that_app(operator):
    page = read(operator.get("/settings/second-factor/app").text)
    sealed = page.one("input", name="sealed")["value"]
    answer = operator.post("/settings/second-factor/app", data={"sealed": sealed, "code": "000000"})
    assert answer.status_code == 422 and 'id="code-error"' in answer.text
    assert page.one("code").text in answer.text and user_of().sealed_totp_secret is None


@pytest.mark.parametrize("sealed", ["", "x", None])
def test_a_secret_of_somebody_else_is_refused(app, operator, sealed):
    if sealed is None:
        sealed = vault().seal(f"{user_of('admin@example.com').id}:{pyotp.random_base32()}")
    answer = operator.post("/settings/second-factor/app", data={"sealed": sealed, "code": "123456"})
    assert answer.status_code == 409


def test_the_code_that_set_it_up_logs_nobody_in(client, operator):
    _, secret = set_up_app(operator)
    code = code_at(secret)
    log_in(client)
    assert client.post(STEP, data={"code": code}).status_code == 401


def test_another_factor_ends_the_other_logins_and_renews_this_one(operator):
    elsewhere = logins.log_in(WHO, PASSWORD, address="::1", agent="")
    before = token_of(operator)
    set_up_app(operator)
    assert logins.identify(elsewhere) is None and logins.identify(before) is None
    assert operator.get("/").status_code == 200


def test_a_recovery_code_lets_in_once(client, operator):
    answer, _ = set_up_app(operator)
    code = re.search(r"\b[a-z2-9]{5}(?:-[a-z2-9]{5}){4}\b", answer.text)[0]
    log_in(client)
    assert client.post(STEP, data={"code": f" {code.upper()} "}).status_code == 303
    client.post("/logout")
    log_in(client)
    assert client.post(STEP, data={"code": code}).status_code == 401
    assert second_factor.of(user_of().id).codes_left == 9


def test_new_codes_replace_the_old_ones(operator):
    set_up_app(operator)
    before = {row.code_hash for row in db.session.query(RecoveryCode)}
    assert operator.post("/settings/second-factor/codes").status_code == 201
    db.session.rollback()
    after = {row.code_hash for row in db.session.query(RecoveryCode)}
    assert len(after) == 10 and before.isdisjoint(after)


def test_there_are_no_codes_without_a_factor(operator):
    assert operator.post("/settings/second-factor/codes").status_code == 409


def test_removing_it_asks_first_and_takes_the_codes_along(operator):
    set_up_app(operator)
    path = "/settings/second-factor/app/removal"
    assert "Remove it" in operator.get(path).text and user_of().sealed_totp_secret
    assert operator.post(path).status_code == 303
    assert user_of().sealed_totp_secret is None and db.session.query(RecoveryCode).count() == 0


def test_a_passkey_of_somebody_else_is_not_removed(app, operator):
    with writing():
        owner = db.session.scalars(db.select(User.id).filter_by(email="admin@example.com")).one()
        db.session.add(
            Passkey(user_id=owner, name="x", credential_id=b"1", public_key=b"2", created_at=clock.now())
        )
    assert operator.post("/settings/second-factor/passkeys/1/removal").status_code == 404
    assert operator.get("/settings/second-factor/passkeys/1/removal").status_code == 404


@pytest.mark.parametrize(
    "answer", ["", "null", "[]", "{}", "x" * 30_000, '{"rawId": 7}', '{"rawId": "AAAA"}']
)
def test_garbage_for_a_passkey_is_refused_with_a_sentence(client, operator, answer):
    client.post("/login/passkey/question", base_url="http://localhost")
    said = client.post("/login/passkey", data={"credential": answer}, follow_redirects=True)
    assert "This passkey was not accepted" in said.text
    operator.post("/settings/second-factor/passkeys/question")
    data = {"name": "phone", "credential": answer}
    assert operator.post("/settings/second-factor/passkeys", data=data).status_code == 422


def test_a_passkey_belongs_to_a_name(operator):
    page = operator.get("/settings/second-factor", base_url="http://localhost:8000").text
    assert "Add a passkey" in page
    with operator.session_transaction() as cookie:
        token = cookie[logins.COOKIE_KEY]
    with operator.session_transaction(base_url="http://127.0.0.1:8000") as cookie:
        cookie[logins.COOKIE_KEY] = token
    page = operator.get("/settings/second-factor", base_url="http://127.0.0.1:8000").text
    assert "Add a passkey" not in page
    assert 'href="http://localhost:8000/settings/second-factor"' in page


# --- a workspace that asks for it ----------------------------------------------------------------


@pytest.fixture
def required(app):
    with writing():
        db.session.query(Workspace).update({"requires_second_factor": True})
    logins.forget_cached()


def test_whoever_has_none_is_led_to_set_one_up(required, operator, connected, make_session):
    make_session("Other")
    for path in ("/", "/messages", "/settings/account"):
        assert operator.get(path).location == "/settings/second-factor"
    for path in (f"{connected.id}/status", "news"):
        answer = operator.get(f"/sessions/{path}", headers=POLL)
        assert answer.headers["HX-Redirect"] == "/settings/second-factor"
    assert operator.get("/api/v1/sessions/list/").json["error"]["code"] == "second_factor_needed"
    assert "Everybody here needs" in operator.get("/settings/second-factor").text


def test_having_set_one_up_opens_the_rest(required, operator):
    set_up_app(operator)
    assert operator.get("/").status_code == 200


def test_apps_with_a_key_go_on(required, api):
    assert api.get("/api/v1/sessions/list/").status_code == 200


def test_an_admin_switches_it_on_only_with_a_factor_of_their_own(admin):
    path = "/settings/second-factor/required"
    assert admin.post(path, data={"required": "1"}).status_code == 409
    set_up_app(admin)
    assert admin.post(path, data={"required": "1"}).status_code == 303
    entry = entry_of("second_factor_required")
    assert db.session.query(Workspace.requires_second_factor).scalar()
    assert entry.detail["was"] is False and entry.detail["now"] is True


# --- lost ----------------------------------------------------------------------------------------


def test_another_admin_takes_a_lost_factor_away(admin, client, secret):
    assert admin.post(f"/settings/people/{user_of().id}/second-factor/removal").status_code == 303
    assert log_in(client).location == "/"
    entry = entry_of("second_factor_reset")
    assert (entry.actor, entry.object) == ("admin@example.com", WHO)


def test_nobody_takes_their_own_away_so(admin):
    give_app("admin@example.com")
    me = user_of("admin@example.com")
    assert admin.post(f"/settings/people/{me.id}/second-factor/removal").status_code == 403
    assert user_of("admin@example.com").sealed_totp_secret


def test_an_admin_of_one_workspace_does_not_reach_an_owner(signed_in, app):
    give_app("admin@example.com")
    users.add(1, "second@example.com", "Second", PASSWORD, Role.ADMIN, actor="cli")
    by = logins.identify(logins.log_in("second@example.com", PASSWORD, address="::1", agent=""))
    with pytest.raises(second_factor.NotYours):
        second_factor.reset(1, "admin@example.com", by=by, actor=by.email)


def test_a_reset_password_leaves_the_second_factor(client, secret):
    users.reset_password(1, WHO, "kopi susu di teras", by_owner=True, actor="cli")
    assert log_in(client, "kopi susu di teras").location.startswith(STEP)


# --- is it still you? ----------------------------------------------------------------------------


HURTS = re.compile(
    r"/settings/(keys|people|gateways|workspaces|webhooks|second-factor)"
    r"|/settings/account/logins"
    r"|/sessions/<int:id>/(logout|replacement|delete|link$|link/(phone|panel|picture|pass$)|gateway)"
    r"|/sessions/cleanup|/api/v1/sessions/(qr|refresh-qr|logout|delete|move)|/api/v1/webhooks"
)
# of these, what changes nothing that could hurt
HARMLESS = {"api_webhooks.index", "api_webhooks.show", "api_webhooks.log"}


def test_whatever_hurts_asks_for_the_password_after_15_minutes(app, admin):
    with writing():
        db.session.query(LoginSession).update({"proved_at": clock.now() - timedelta(minutes=16)})
    logins.forget_cached()
    asked = 0
    for rule in app.url_map.iter_rules():
        if not HURTS.match(rule.rule) or rule.endpoint in HARMLESS:
            continue
        any_of = {name: getattr(kind, "items", ["1"]) for name, kind in rule._converters.items()}
        path = rule.build({name: sorted(items)[0] for name, items in any_of.items()}, False)[1]
        for method in sorted(rule.methods & {"GET", "POST", "PUT", "PATCH", "DELETE"}):
            answer = admin.open(path, method=method)
            asked += 1
            if path.startswith("/api/"):
                assert answer.json["error"]["code"] == "proof_needed", (method, path)
            else:
                assert (answer.location or "").startswith("/confirm"), (method, path, answer.status_code)
    assert asked > 20


def test_showing_it_again_renews_the_login(operator):
    before = token_of(operator)
    assert operator.post("/confirm", data={"password": PASSWORD, "next": "/messages"}).location == "/messages"
    assert logins.identify(before) is None and token_of(operator) != before
    assert operator.get("/messages").status_code == 200


def test_an_act_from_a_fragment_goes_to_the_question_and_is_not_done(admin, connected):
    with writing():
        db.session.query(LoginSession).update({"proved_at": clock.now() - timedelta(minutes=16)})
    logins.forget_cached()
    headers = {**POLL, "HX-Current-URL": "http://localhost/"}
    answer = admin.post(f"/sessions/{connected.id}/logout", headers=headers)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/confirm?next=/")
    db.session.rollback()
    db.session.refresh(connected)
    assert connected.linked_at


def test_a_session_that_is_new_shows_its_code_to_no_screen_that_was_left(stub, admin):
    stub.state = "close"
    with writing():
        db.session.query(LoginSession).update({"proved_at": clock.now() - timedelta(minutes=16)})
    logins.forget_cached()
    new = {"name": "Support line", "is_active": "y", "link": "1"}
    answer = admin.post("/sessions/new", data=new, headers={"HX-Request": "true"})
    assert (answer.status_code, answer.location) == (303, "/sessions/1/link?by=qr")


def test_a_code_is_not_shown_to_a_screen_that_was_left(admin, make_session):
    waits = make_session(
        status="qr_pending",
        linked_at=None,
        sealed_qr=vault().seal("2@code"),
        qr_sequence=1,
        qr_expires_at=clock.now() + timedelta(minutes=1),
        qr_lifetime_seconds=60,
    )
    assert "qr-code" in admin.get("/").text
    with writing():
        db.session.query(LoginSession).update({"proved_at": clock.now() - timedelta(minutes=16)})
    logins.forget_cached()
    assert "qr-code" not in admin.get("/").text
    assert admin.get(f"/sessions/{waits.id}/link").location.startswith("/confirm")


def test_who_saw_a_code_is_on_record_once(admin, make_session):
    waits = make_session(
        status="qr_pending",
        linked_at=None,
        sealed_qr=vault().seal("2@code"),
        qr_sequence=1,
        qr_expires_at=clock.now() + timedelta(minutes=1),
        qr_lifetime_seconds=60,
    )
    for _ in range(3):
        admin.get(f"/sessions/{waits.id}/link/panel", headers=POLL)
    entry = entry_of("code_shown")
    assert (entry.actor, entry.object) == ("admin@example.com", waits.name)


def test_the_throttle_of_the_step_is_its_own(app):
    for _ in range(5):
        throttle.enter(second_factor.subject(1), "::1", clock.now())
    assert logins.log_in(WHO, PASSWORD, address="::1", agent="")
