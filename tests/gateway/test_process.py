"""The process: how it starts, what it refuses, and that nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import certifi
import psutil
import pytest
from running_gateway import ROOT, RunningGateway, refused_start

from wa_admin.gateway.process import start_environment


def test_a_second_gateway_on_the_same_data_says_so_in_one_line(gateway: RunningGateway) -> None:
    second = refused_start(gateway.data_dir)
    assert second.returncode == 2
    assert second.stderr == f"gateway: another gateway runs on {gateway.data_dir}\n"


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        second = refused_start(tmp_path, WA_GATEWAY_PORT=str(port))
    assert second.returncode == 2
    assert second.stderr == f"gateway: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WA_GATEWAY_HOST", "no name"),
        ("WA_GATEWAY_KEY", None),
        ("WA_GATEWAY_KEY", ""),
        ("WA_GATEWAY_KEY_FILE", "/nowhere/key"),
        ("WA_GATEWAY_PORT", "99999"),
        ("WA_GATEWAY_PORT", "http"),
        ("WA_ENGINE", "baileys"),
        ("WA_LOG_FORMAT", "xml"),
        ("WA_SIMULATOR_SPEED", "0"),
        ("WA_SIMULATOR_SPEED", "fast"),
    ],
)
def test_a_bad_setting_stops_the_start_by_name(tmp_path: Path, name: str, value: str | None) -> None:
    changes = {name: value} | ({"WA_GATEWAY_KEY": None} if name == "WA_GATEWAY_KEY_FILE" else {})
    refused = refused_start(tmp_path, **changes)
    assert refused.returncode == 2
    assert name in refused.stderr and refused.stderr.count("\n") == 1


def test_the_key_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("key-of-a-file\n")
    key_file = str(tmp_path / "key")
    with RunningGateway(
        tmp_path / "data", key="key-of-a-file", WA_GATEWAY_KEY=None, WA_GATEWAY_KEY_FILE=key_file
    ) as gateway:
        assert gateway.client.get("/instance/fetchInstances").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_and_leaves_no_process(alone: RunningGateway, number: int) -> None:
    children = psutil.Process(alone.pid).children(recursive=True)
    os.kill(alone.pid, number)
    assert alone.process is not None and alone.process.wait(60) == 0
    gone, alive = psutil.wait_procs(children, timeout=60)
    assert (len(gone), alive) == (1, [])


def test_ctrl_c_in_a_terminal_reaches_only_the_parent(alone: RunningGateway) -> None:
    child = psutil.Process(alone.pid).children()[0]
    assert os.getsid(child.pid) == child.pid != os.getsid(alone.pid)


def test_a_log_can_be_json(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, WA_LOG_FORMAT="json") as gateway:
        lines = [json.loads(line) for line in gateway.log]
    assert lines[0]["message"] == f"gateway ready on {gateway.url}"


def test_the_front_door_names_the_version_without_a_key(shared_gateway: RunningGateway) -> None:
    answer = shared_gateway.client.get("/", headers={"apikey": ""}).json()
    assert (answer["version"], answer["clientName"], answer["engine"]) == ("2.3.6", "wa-admin", "simulator")


def test_the_parent_imports_no_engine_and_nothing_of_the_panel() -> None:
    code = (
        "import sys, wa_admin.gateway.__main__, wa_admin.gateway.simulator_page\n"
        "print(*[name for name in sys.modules if name.startswith('wa_admin') or name == 'neonize'])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    names = set(found.stdout.split())
    engines = {f"wa_admin.gateway.engines.{name}" for name in ("neonize", "simulator")}
    assert not names & ({"neonize"} | engines)
    shared = {"wa_admin", "wa_admin.config", "wa_admin.crypto", "wa_admin.log"}
    assert {name for name in names if name.split(".")[:2] != ["wa_admin", "gateway"]} == shared


def test_a_child_trusts_what_the_machine_trusts_and_certifi_where_that_is_nothing(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    assert start_environment({}, [str(bundle)])["SSL_CERT_FILE"] == certifi.where()
    bundle.touch()
    assert "SSL_CERT_FILE" not in start_environment({}, [str(bundle)])


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_child_trusts_what_somebody_chose(name: str) -> None:
    chosen = {name: "/chosen/by/hand"}
    assert start_environment(chosen, []) == chosen | {"NEONIZE_BOT_TAG": "off"}


def test_the_log_of_a_gateway_alone_holds_no_number_and_no_key(gateway: RunningGateway) -> None:
    name = "+62 812-3456-7890 token=hunter2-of-mine"
    gateway.create(name)
    gateway.link(name)
    log = "\n".join(gateway.log)
    assert "session '+62***890 token=[secret]" in log
    assert "3456" not in log and "hunter2" not in log


def test_listening_for_other_machines_is_said_with_what_to_do(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, WA_GATEWAY_HOST="0.0.0.0") as gateway:
        gateway.create()  # so that the log is read that far
        (warning,) = [line for line in gateway.log if "WARNING" in line]
    assert f"listens on 0.0.0.0 port {gateway.port}" in warning
    assert "Set WA_GATEWAY_HOST=127.0.0.1" in warning
    assert f"gateway ready on http://127.0.0.1:{gateway.port}" in gateway.log[0]


def test_listening_on_loopback_is_nothing_to_warn_of(alone: RunningGateway) -> None:
    assert [line for line in alone.log if "WARNING" in line] == []
