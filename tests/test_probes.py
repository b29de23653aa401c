"""What machines are told: alive, ready or what is missing, and how much of what there is."""

from datetime import timedelta

import pytest

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Gateway, Lease, MessageStatus
from wa_admin.services import api_keys


@pytest.fixture
def healthy(app):
    """The scheduler ticked and the gateway answered a moment ago."""
    now = clock.now()
    with writing():
        db.session.add(Lease(name="scheduler", holder="here:1", renewed_at=now))
        gateway = db.session.query(Gateway).one()
        gateway.checked_at, gateway.latency_ms = now, 12
    return gateway


def test_a_process_that_lives_says_so(client):
    assert client.get("/healthz").json == {"status": "ok"}


def test_ready_when_database_scheduler_and_gateway_are(client, healthy):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"status": "ready", "scheduler": "here:1"})


def test_not_ready_before_the_first_tick(client):
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["problems"] == {"scheduler": "has never run", "gateway": "has not been asked yet"}


def test_not_ready_when_the_scheduler_stopped(client, healthy):
    with writing():
        db.session.query(Lease).one().renewed_at = clock.now() - timedelta(minutes=1)
    assert client.get("/readyz").json["problems"] == {"scheduler": "does not run"}


def test_not_ready_when_the_gateway_does_not_answer(client, healthy):
    with writing():
        healthy.failing_since, healthy.failure = clock.now(), "gateway_unreachable"
    assert client.get("/readyz").json["problems"] == {"gateway": "gateway_unreachable"}


def test_not_ready_when_nobody_asked_the_gateway_for_long(client, healthy):
    with writing():
        healthy.checked_at = clock.now() - timedelta(minutes=5)
    assert client.get("/readyz").json["problems"] == {"gateway": "was not asked lately"}


@pytest.mark.sqlite
def test_not_ready_without_a_database(app, client, healthy):
    with db.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE lease RENAME TO gone")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["problems"]) == (503, {"database": "does not answer"})


def test_not_ready_while_it_stops(app, client, healthy):
    app.config["IS_STOPPING"] = True
    assert client.get("/readyz").json["problems"] == {"panel": "is stopping"}


def samples(answer):
    """Prometheus' lines as a dictionary."""
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_metrics_count_what_there_is(client, healthy, connected, make_message):
    make_message(connected, created_at=clock.now() - timedelta(seconds=90))
    make_message(connected, status=MessageStatus.SENT)
    found = samples(client.get("/metrics"))
    assert found['wa_admin_sessions{status="connected"}'] == 1
    assert found["wa_admin_messages_accepted_total"] == 2
    assert 90 <= found["wa_admin_oldest_waiting_seconds"] < 120
    assert found['wa_admin_gateway_up{gateway="bundled"}'] == 1
    assert found["wa_admin_scheduler_tick_age_seconds"] < 30


def test_metrics_measure_answers(client):
    count = 'wa_admin_http_seconds_count{endpoint="probes.healthz",status="200"}'
    before = samples(client.get("/metrics")).get(count, 0)
    client.get("/healthz")
    client.get("/healthz")
    found = samples(client.get("/metrics"))
    assert found[count] == before + 2
    assert (
        found['wa_admin_http_seconds_bucket{endpoint="probes.healthz",le="+Inf",status="200"}']
        == found[count]
    )


def test_metrics_count_webhooks(client):
    count = 'wa_admin_webhooks_total{status="404"}'
    before = samples(client.get("/metrics")).get(count, 0)
    client.post("/hooks/1/wrong", json={})
    assert samples(client.get("/metrics"))[count] == before + 1


@pytest.mark.parametrize(
    "asker",
    [
        {"environ_base": {"REMOTE_ADDR": "203.0.113.9"}},
        {"environ_base": {"REMOTE_ADDR": "203.0.113.9:4711"}},  # as some proxies write it
        {"headers": {"X-Forwarded-For": "203.0.113.9"}},
        {"headers": {"X-Forwarded-For": "203.0.113.9", "Authorization": "Bearer wak_wrong"}},
    ],
)
def test_metrics_need_a_key_from_elsewhere(client, asker):
    assert client.get("/metrics", **asker).status_code == 401


def test_a_page_that_points_its_name_at_this_machine_is_told_no_figures(client, healthy):
    elsewhere = {"base_url": "http://rebound.example:8000"}
    assert client.get("/metrics", **elsewhere).status_code == 401
    assert client.get("/readyz", **elsewhere).json == {"status": "ready"}


def test_metrics_are_given_to_a_key(client, workspace_id):
    _, raw = api_keys.issue(workspace_id, "prometheus", actor="cli")
    elsewhere = {"REMOTE_ADDR": "203.0.113.9"}
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {raw}"}, environ_base=elsewhere)
    assert answer.status_code == 200


def test_probes_and_metrics_show_no_number_and_no_name(client, healthy, connected):
    shown = client.get("/readyz").text + client.get("/metrics").text
    assert connected.linked_number not in shown
    assert connected.name not in shown


def test_a_key_of_some_sessions_does_not_read_the_figures_of_all(client, connected):
    _key, raw = api_keys.issue(1, "a", scopes=["look"], session_ids=[connected.id], actor="cli")
    headers = {"Authorization": f"Bearer {raw}", "X-Forwarded-For": "192.0.2.7"}
    assert client.get("/metrics", headers=headers).status_code == 403
