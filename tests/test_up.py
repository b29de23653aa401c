"""`flask up` with real processes and real kills: everything starts, comes back, and goes."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

import psutil
import pytest
from forked import run, start, wa_admin
from running_up import FLASK_UP, UP, Up, free_port, get, until


@pytest.fixture
def make_up(tmp_path):
    made = []

    def make(data_dir=None, **more):
        made.append(Up(data_dir or tmp_path / "data", tmp_path / f"up-{len(made)}.log", **more))
        return made[-1]

    yield make
    for up in made:
        if hasattr(up, "process"):
            up.end()


@pytest.fixture(scope="module")
def shared_up(tmp_path_factory):
    """One that stays up; who disturbs it waits until it is well again."""
    place = tmp_path_factory.mktemp("up")
    up = Up(place / "data", place / "up.log", UP)
    yield up.start()
    up.end()


def test_everything_comes_up_and_a_first_run_link_opens(shared_up):
    up = shared_up
    assert until(up.is_ready), up.get("/readyz")
    assert up.get("/", port=up.gateway_port)[0] == 200
    (link,) = re.findall(r"http://127\.0\.0\.1:\d+(/setup\?token=\S+)", up.said())
    assert up.get(link)[0] == 200
    assert up.get("/setup?token=wrong")[0] in (404, 410)


def test_a_signal_stops_everything_in_order_and_the_next_start_has_a_new_link_and_a_log_in_json(make_up):
    links = set()
    for number, log_format in ((signal.SIGTERM, "text"), (signal.SIGINT, "json")):
        up = make_up(WA_LOG_FORMAT=log_format).start()
        links.update(re.findall(r"token=([\w.-]+)", up.said()))
        up.process.send_signal(number)
        assert up.process.wait(60) == 0
        assert up.all_gone()
        said = up.said()
        assert said.index("panel stopped") < said.index("gateway stopped")
        assert up.get("/healthz")[0] == 0
    assert len(links) == 2
    records = [json.loads(line) for line in said.splitlines()]
    assert {record["process"] for record in records} >= {"up", "panel", "gateway"}
    assert [record["first_run_link"] for record in records if "first_run_link" in record]


@pytest.mark.parametrize("name", ["gateway", "panel", "scheduler"])
def test_a_process_that_was_killed_comes_back(shared_up, name):
    up = shared_up
    assert until(lambda: up.running(name))
    up.running(name).kill()
    assert until(lambda: f"{name} ended (killed by SIGKILL): starting it again in 1 s" in up.said())
    assert until(lambda: up.running(name) is not None)
    assert until(up.is_ready), up.said()


def test_a_second_start_on_the_same_data_says_so_in_one_line(shared_up, make_up):
    second = make_up(shared_up.environ["WA_DATA_DIR"])
    done = run(FLASK_UP, second.environ)
    (line,) = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 2
    assert f"already running on {second.environ['WA_DATA_DIR']} (process {shared_up.process.pid})" in line


@pytest.mark.parametrize("setting", ["WA_PORT", "WA_GATEWAY_PORT"])
def test_a_port_that_is_taken_is_named_in_one_line(make_up, setting):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = make_up(**{setting: str(port)})
        done = run(FLASK_UP, up.environ)
    (line,) = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in line
    assert setting in line


@pytest.mark.parametrize("setting", ["WA_HOST", "WA_GATEWAY_HOST"])
def test_a_host_that_is_no_name_is_named_in_one_line(make_up, setting):
    up = make_up(**{setting: "no name", "WA_ALLOW_INSECURE_HTTP": "1"})
    done = run(FLASK_UP, up.environ)
    (line,) = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 2
    assert f"{setting} 'no name'" in line


def test_a_bad_setting_is_named_in_one_line(make_up):
    up = make_up(WA_POLL_SECONDS="often")
    done = wa_admin("up", environ=up.environ)
    (line,) = (done.stdout + done.stderr).splitlines()
    assert done.returncode != 0
    assert "WA_POLL_SECONDS must be a number" in line


def test_on_all_addresses_it_says_who_can_reach_it_and_nothing_outlives_its_kill(make_up):
    up = make_up(WA_HOST="0.0.0.0", WA_GATEWAY_HOST="0.0.0.0", WA_ALLOW_INSECURE_HTTP="1").start()
    assert f"wa-admin runs on http://127.0.0.1:{up.port}\n" in up.said()
    assert f"It listens on all addresses of this machine, port {up.port}" in up.said()
    assert f"the gateway listens on 0.0.0.0 port {up.gateway_port}" in up.said()
    assert "//0.0.0.0" not in up.said()
    (link,) = re.findall(r"http://127\.0\.0\.1:\d+(/setup\?token=\S+)", up.said())
    assert up.get(link)[0] == 200
    assert until(up.is_ready), up.get("/readyz")
    up.children = psutil.Process(up.process.pid).children(recursive=True)
    up.process.kill()
    assert until(up.all_gone)


def test_with_an_external_gateway_none_is_started(make_up):
    up = make_up(WA_GATEWAY_URL="http://127.0.0.1:9", WA_GATEWAY_KEY="the key of that gateway").start()
    assert up.running("gateway") is None
    assert up.running("panel") is not None


def test_the_supervisor_is_small(shared_up):
    assert psutil.Process(shared_up.process.pid).memory_info().rss < 30 * 1024**2


@pytest.fixture
def panel(tmp_path, make_up):
    """The panel alone, as a process."""
    port = free_port()
    environ = {**os.environ, "WA_DATA_DIR": str(tmp_path / "data"), "WA_PORT": str(port)}
    process = start(["-m", "wa_admin.panel"], environ, stderr=subprocess.DEVNULL)
    process.port = port
    assert until(lambda: get(port, "/healthz")[0] == 200)
    yield process
    process.kill()
    process.wait()


def _listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except OSError:
        return False
    return True


def test_a_request_in_flight_is_answered_before_the_panel_ends(panel):
    with socket.create_connection(("127.0.0.1", panel.port), timeout=60) as client:
        client.sendall(b"POST /hooks/1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n{")
        time.sleep(0.3)  # the panel reads this much
        panel.send_signal(signal.SIGTERM)
        assert until(lambda: not _listens(panel.port))
        client.sendall(b"}  ")
        assert client.recv(200).startswith(b"HTTP/1.1 ")
    assert panel.wait(60) == 0


def test_slow_clients_do_not_hold_up_the_panel(panel):
    slow = []
    for _ in range(40):
        client = socket.create_connection(("127.0.0.1", panel.port), timeout=60)
        client.sendall(b"POST /hooks/1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\n{")
        slow.append(client)
    began = time.monotonic()
    assert get(panel.port, "/healthz")[0] == 200
    assert time.monotonic() - began < 15
    for client in slow:
        client.close()


def test_the_panel_does_not_say_what_serves_it(panel):
    connection = http.client.HTTPConnection("127.0.0.1", panel.port, timeout=60)
    connection.request("GET", "/healthz")
    assert connection.getresponse().getheader("Server") is None
    connection.close()
