"""What keeps a session alive, and what ends it: crashes, kills, restarts, and what the phone does."""

from __future__ import annotations

import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from running_gateway import RunningGateway, wait_until
from webhook_receiver import WebhookReceiver

from wa_admin.gateway import process
from wa_admin.gateway.engines.contract import EngineError


def children(gateway: RunningGateway) -> list[psutil.Process]:
    """The child processes of the session in mind; `id` is its directory's name."""
    listed = gateway.client.get("/instance/fetchInstances", params={"instanceName": gateway.name}).json()
    store = str(gateway.data_dir / "gateway" / "sessions" / listed[0]["id"])
    return [child for child in psutil.Process(gateway.pid).children() if store in child.cmdline()]


def watch(gateway: RunningGateway, receiver: WebhookReceiver, name: str | None = None) -> None:
    webhook = {"enabled": True, "url": receiver.url, "events": []}
    assert gateway.post("webhook/set", name, json={"webhook": webhook}).status_code == 201


def test_a_killed_child_comes_back_without_a_code(alone: RunningGateway, receiver: WebhookReceiver) -> None:
    watch(alone, receiver)
    os.kill(children(alone)[0].pid, signal.SIGKILL)
    wait_until(lambda: alone.state()["state"] == "connecting")
    alone.wait_for_state("open")
    assert "qrcode.updated" not in receiver.events
    assert [data["state"] for data in receiver.data("connection.update")] == ["connecting", "open"]
    assert any("again in 1 s" in line for line in alone.log)


def test_a_child_that_reads_nothing_any_more_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "READS_WITHIN_SECONDS", 0.2)
    ended: Future[int] = Future()
    child = process.ChildProcess(
        "simulator", tmp_path, lambda *_: None, lambda _child, code: ended.set_result(code)
    )
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(EngineError) as refused:  # more than a pipe holds
        child.submit("send_text", to="6281234567890", text="x" * 1_000_000).result(0)
    assert (refused.value.kind, ended.result(60)) == ("not_connected", -signal.SIGKILL)


def test_an_engine_that_aborts_is_started_again(linked: RunningGateway) -> None:
    linked.simulate("crash")
    linked.wait_for_state("open")
    assert linked.send("still here").status_code == 201


def test_sessions_resume_after_the_gateway_was_killed(alone: RunningGateway) -> None:
    alone.kill()
    alone.start()
    assert alone.wait_for_state("open")["number"] == "6281234567890"
    assert alone.send("after the kill").status_code == 201


def test_the_children_of_a_killed_gateway_end_by_themselves(alone: RunningGateway) -> None:
    orphans = children(alone)
    alone.kill()
    _, alive = psutil.wait_procs(orphans, timeout=60)
    assert orphans and not alive


def test_a_stopped_session_keeps_its_login(linked: RunningGateway, receiver: WebhookReceiver) -> None:
    watch(linked, receiver)
    assert linked.post("instance/stop").status_code == 200
    assert (linked.state()["state"], linked.state()["reason"]) == ("close", "stopped")
    assert children(linked) == []
    linked.get("instance/connect")
    linked.wait_for_state("open")
    assert "qrcode.updated" not in receiver.events


def test_a_stopped_session_stays_stopped_when_the_gateway_restarts(alone: RunningGateway) -> None:
    alone.post("instance/stop")
    alone.stop()
    alone.start()
    state = alone.state()
    assert (state["state"], state["reason"], state["number"]) == ("close", "stopped", "6281234567890")
    assert children(alone) == []


def test_logging_out_forgets_the_login_and_keeps_the_session(
    linked: RunningGateway, receiver: WebhookReceiver
) -> None:
    watch(linked, receiver)
    assert linked.delete("instance/logout").status_code == 200
    assert linked.state()["reason"] == "logged_out"
    wait_until(lambda: "connection.update" in receiver.events)
    assert receiver.events == ["status.instance", "logout.instance", "connection.update"]
    assert "Log out instance" in receiver.data("status.instance")[0]["disconnectionObject"]
    assert linked.get("instance/connect").json()["count"] == 1


def test_messages_still_arrive_after_a_logout_and_a_new_link(
    linked: RunningGateway, receiver: WebhookReceiver
) -> None:
    watch(linked, receiver)
    linked.delete("instance/logout")
    linked.link()
    linked.simulate("inbound", sender="4915100000003", text="hello again")
    wait_until(lambda: "messages.upsert" in receiver.events)


def test_logging_out_a_stopped_session_unlinks_it_at_whatsapp(linked: RunningGateway) -> None:
    linked.post("instance/stop")
    assert linked.delete("instance/logout").status_code == 200
    assert linked.get("instance/connect").json()["count"] == 1


def test_a_login_that_cannot_be_undone_now_is_kept(linked: RunningGateway) -> None:
    linked.simulate("mode", network="down")
    assert linked.delete("instance/logout").status_code == 400
    linked.simulate("mode", network="up")
    linked.wait_for_state("open")


@pytest.mark.parametrize(
    ("act", "reason", "code"),
    [
        ("unlink", "logged_out", 401),
        ("replace", "replaced", 440),
        ("ban", "banned", 403),
        ("outdated", "outdated", 405),
    ],
)
def test_what_the_phone_or_whatsapp_does_has_a_reason_of_its_own(
    linked: RunningGateway, receiver: WebhookReceiver, act: str, reason: str, code: int
) -> None:
    watch(linked, receiver)
    linked.simulate(act)
    assert linked.wait_for_state("close")["reason"] == reason
    wait_until(lambda: "connection.update" in receiver.events)
    told = receiver.data("connection.update")[-1]
    assert (told["state"], told["statusReason"], told["reason"]) == ("close", code, reason)
    assert ("banExpiresAt" in told) == (act == "ban")
    assert children(linked) == []


@pytest.mark.parametrize("act", ["unlink", "replace", "ban"])
def test_what_a_person_must_clear_is_not_tried_again_by_a_restart(alone: RunningGateway, act: str) -> None:
    alone.simulate(act)
    reason = alone.wait_for_state("close")["reason"]
    alone.stop()
    alone.start()
    assert (alone.state()["state"], alone.state()["reason"]) == ("close", reason)


def test_a_device_unlinked_while_it_was_away_hears_of_it_when_it_connects(linked: RunningGateway) -> None:
    linked.post("instance/stop")
    linked.simulate("unlink")
    linked.get("instance/connect")
    assert linked.wait_for_state("close")["reason"] == "logged_out"


def test_a_ban_ends_when_it_is_lifted(linked: RunningGateway) -> None:
    linked.simulate("ban", seconds=3600)
    linked.wait_for_state("close")
    linked.get("instance/connect")
    assert linked.wait_for_state("close")["reason"] == "banned"
    linked.simulate("ban", seconds=0)
    linked.get("instance/connect")
    linked.wait_for_state("open")


def test_an_outdated_version_stays_refused_until_it_is_renewed(linked: RunningGateway) -> None:
    linked.simulate("outdated")
    linked.wait_for_state("close")
    linked.get("instance/connect")
    assert linked.wait_for_state("close")["reason"] == "outdated"
    linked.simulate("mode", outdated=False)
    linked.get("instance/connect")
    linked.wait_for_state("open")


def test_a_dropped_network_comes_back_by_itself(linked: RunningGateway, receiver: WebhookReceiver) -> None:
    watch(linked, receiver)
    linked.simulate("drop")
    wait_until(lambda: len(receiver.events) == 3)
    assert [
        (data["state"], data["reason"], data["statusReason"]) for data in receiver.data("connection.update")
    ] == [("connecting", "network", 408), ("connecting", None, 200), ("open", None, 200)]
    assert linked.state()["state"] == "open"


def test_without_whatsapp_the_gateway_answers_and_goes_on_when_it_can(fresh: RunningGateway) -> None:
    gateway = fresh
    gateway.simulate("mode", network="down")
    assert gateway.get("instance/connect").json() == {"count": 0}
    assert (gateway.state()["state"], gateway.state()["reason"]) == ("connecting", "network")
    gateway.simulate("mode", network="up")
    wait_until(lambda: gateway.get("instance/connect").json()["count"] == 1)


def test_restarting_an_open_session_keeps_its_login(linked: RunningGateway) -> None:
    before = children(linked)[0].pid
    answer = linked.post("instance/restart")
    assert answer.json()["instance"]["state"] == "open"
    linked.wait_for_state("open")
    assert children(linked)[0].pid != before


def test_deleting_leaves_nothing_behind(alone: RunningGateway) -> None:
    assert alone.delete("instance/delete").status_code == 200
    assert psutil.Process(alone.pid).children() == []
    assert list((alone.data_dir / "gateway" / "sessions").iterdir()) == []
    assert alone.client.get("/instance/fetchInstances").json() == []
    alone.create()


def test_a_child_sees_none_of_our_secrets_and_no_bot_tag(linked: RunningGateway) -> None:
    environment = children(linked)[0].environ()
    assert environment["NEONIZE_BOT_TAG"] == "off"
    assert linked.key not in environment.values()


def test_what_is_stored_can_be_read_by_its_owner_only(alone: RunningGateway) -> None:
    paths = [alone.data_dir / "gateway", *(alone.data_dir / "gateway").rglob("*")]
    assert [path for path in paths if path.stat().st_mode & 0o077] == []


def test_nothing_starts_a_session_that_is_being_deleted(fresh: RunningGateway) -> None:
    fresh.get("instance/connect")
    before = set(psutil.Process(fresh.pid).children())
    with ThreadPoolExecutor(6) as pool:
        connects = [pool.submit(fresh.get, "instance/connect") for _ in range(5)]
        assert fresh.delete("instance/delete").status_code == 200
        assert {connect.result().status_code for connect in connects} <= {200, 404}
    assert not set(psutil.Process(fresh.pid).children()) - before
    assert fresh.get("instance/connect").status_code == 404


def test_a_number_no_code_can_be_had_for_still_leaves_a_whole_session(shared_gateway: RunningGateway) -> None:
    answer = shared_gateway.create("with an odd number", qrcode=True, number="12")
    assert answer["qrcode"]["count"] in (0, 1)
    assert shared_gateway.state("with an odd number")["instanceName"] == "with an odd number"
