"""The engine in a real child: with the real neonize and no network, and with one that plays a script."""

from __future__ import annotations

import base64
import io
import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from waiting import PATIENCE_SECONDS

from wa_admin.gateway.engines.contract import EngineError
from wa_admin.gateway.process import ChildProcess

HERE = Path(__file__).parent
RECORDINGS = HERE / "recordings" / "neonize"
CODE = json.loads((RECORDINGS / "qr.json").read_text())["qr_callback_bytes_example"]
DEVICE = "CicKDTYyODEyMzQ1Njc4OTAQABgBIAAqDnMud2hhdHNhcHAubmV0MAASHQoOOTA4MTcxOTg5MzI3NDEQABgBIAAqA2xpZDAAGgdhbmRyb2lkIgAqADAB"  # noqa: E501


RECORDED_ERRORS = json.loads((RECORDINGS / "errors.json").read_text())
REFUSED = {
    "628120000001": ("send_to_number_not_on_whatsapp", "not_on_whatsapp"),
    "628120000002": ("send_refused_463", "rejected"),
    "628120000003": ("send_after_stop", "not_connected"),
    "628120000004": ("send_after_logout", "not_connected"),
}


def binary(name: str) -> str:
    recorded: str = json.loads((RECORDINGS / f"{name}.json").read_text())["protobuf_base64"]
    return recorded


CONNECTED = [["event", "Device", DEVICE], ["event", "Connected", binary("connected")]]
OPEN = {
    "event": "state",
    "state": "open",
    "reason": None,
    "number": "6281234567890",
    "lid": "90817198932741@lid",
    "platform": "android",
}


class Child:
    """A child and all that it told."""

    def __init__(self, store: Path) -> None:
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        self.ended: queue.Queue[int] = queue.Queue()
        self.process = ChildProcess(
            "neonize", store, lambda _, event: self.told.put(event), lambda _, code: self.ended.put(code)
        )

    def call(self, command: str, **args: Any) -> Any:
        return self.process.call(command, PATIENCE_SECONDS, **args)

    def hear(self, event: str, **fields: Any) -> dict[str, Any]:
        """The next event of this kind and with these fields; what comes before is passed over."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            told = self.told.get(timeout=max(0.01, deadline - time.monotonic()))
            if told["event"] == event and fields.items() <= told.items():
                return told

    def refusal(self, command: str, **args: Any) -> str:
        with pytest.raises(EngineError) as refused:
            self.call(command, **args)
        return refused.value.kind


Start = Callable[..., Child]
Play = Callable[..., Child]
Calls = Callable[[str], list[dict[str, Any]]]


@contextmanager
def children(home: Path) -> Iterator[Start]:
    """Start children on the same store, as often as wanted; none is left behind."""
    started: list[Child] = []

    def start(store: str = "store") -> Child:
        child = Child(home / store)
        started.append(child)
        child.call("start")
        return child

    yield start
    for child in started:
        child.process.kill()


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@contextmanager
def scripted(home: Path) -> Iterator[Play]:
    """Start children whose neonize plays these steps, a list for each call of connect()."""
    file = home / "script.json"

    def play(*connects: list[list[Any]], errors: dict[str, str] | None = None, later: str = DEVICE) -> Child:
        script = {
            "connect": connects,
            "errors": errors or {},
            "sent": binary("send_response"),
            "later": later,
        }
        file.write_text(json.dumps(script))
        return start()

    stand_in = str(HERE / "neonize_stand_in")
    with environment(PYTHONPATH=stand_in, NEONIZE_SCRIPT=str(file)), children(home) as start:
        yield play


def calls_in(home: Path, name: str) -> list[dict[str, Any]]:
    noted = [json.loads(line) for line in (home / "script.calls").read_text().splitlines()]
    return [call for call in noted if call["call"] == name]


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Children import neonize three times as fast from bytecode, which not every machine lets them keep."""
    cache = str(tmp_path_factory.mktemp("bytecode"))
    with environment(PYTHONPYCACHEPREFIX=cache, PYTHONDONTWRITEBYTECODE=""):
        yield


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Start]:
    """The real neonize on a machine that cannot reach WhatsApp."""
    with environment(HTTPS_PROXY="http://127.0.0.1:9"), children(tmp_path) as start:
        yield start


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with scripted(tmp_path) as play:
        yield play


@pytest.fixture
def calls(tmp_path: Path) -> Calls:
    return lambda name: calls_in(tmp_path, name)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("open")


@pytest.fixture(scope="module")
def open_child(home: Path) -> Iterator[Child]:
    """One child with an open connection, for tests that only send."""
    errors = {number: RECORDED_ERRORS[name]["text"] for number, (name, _) in REFUSED.items()}
    with scripted(home) as play:
        child = play(CONNECTED, errors=errors | {"6281200000000": "not there"})
        child.hear("state", state="open")
        yield child


@pytest.fixture
def sends(home: Path, open_child: Child) -> Calls:
    """The calls made in this test."""
    before = {name: len(calls_in(home, name)) for name in ("send", "upload")}
    return lambda name: calls_in(home, name)[before[name] :]


# With the real neonize


def test_without_a_network_it_says_so_and_goes_on_trying(offline: Start, tmp_path: Path) -> None:
    child = offline("50% off? #1 & more")
    assert child.hear("state", state="connecting")["reason"] is None
    child.hear("state", state="connecting", reason="network")
    time.sleep(1.5)  # at least one more attempt, which is no news
    assert child.told.empty()
    assert child.ended.empty()
    assert (tmp_path / "50% off? #1 & more" / "whatsapp.db").stat().st_size > 0


def test_without_a_network_nothing_leaves_and_only_the_owner_reads_the_login(
    offline: Start, tmp_path: Path
) -> None:
    child = offline()
    child.hear("state", reason="network")
    assert child.refusal("send_text", to="6281299998888", text="Halo") == "not_connected"
    assert child.refusal("check", numbers=["6281299998888"]) == "not_connected"
    assert child.refusal("logout") == "not_connected"
    store = tmp_path / "store"
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in (store, *store.iterdir())}
    assert modes == {"store": "0o700", "whatsapp.db": "0o600"}


def test_it_stops_while_it_dials_and_ends_when_its_parent_is_gone(offline: Start) -> None:
    child = offline()
    child.call("stop")
    stdin = child.process._process.stdin
    assert stdin
    stdin.close()
    assert child.ended.get(timeout=PATIENCE_SECONDS) == 0


def test_it_can_be_killed_at_any_time(offline: Start) -> None:
    child = offline()
    child.process.kill()
    assert child.ended.get(timeout=PATIENCE_SECONDS) == -9
    offline().hear("state", reason="network")


def test_an_unreadable_login_is_set_aside_and_told(offline: Start, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "whatsapp.db").write_bytes(b"this is no database" * 100)
    offline().hear("state", state="close", reason="auth_failure")
    assert (tmp_path / "store" / "whatsapp.unreadable").exists()
    offline().hear("state", state="connecting", reason="network")


def test_a_missing_libmagic_stops_nothing(
    offline: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "magic.py").write_text(
        'raise ImportError("failed to find libmagic.  Check your installation")'
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    offline().hear("state", reason="network")


def test_it_refuses_to_mark_messages_as_from_a_bot(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NEONIZE_BOT_TAG"}
    command = [
        sys.executable,
        "-m",
        "wa_admin.gateway.child",
        "--engine",
        "neonize",
        "--store",
        str(tmp_path),
    ]
    child = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=100
    )
    assert child.returncode == 3
    assert b"NEONIZE_BOT_TAG=off" in child.stdout


def test_the_real_client_takes_the_calls_that_the_one_with_a_script_takes() -> None:
    check = """
from inspect import signature
from neonize.client import NewClient
signature(NewClient).bind("path", uuid="wa-admin", props=None)
signature(NewClient.send_message).bind(None, "jid", "message")
signature(NewClient.upload).bind(None, b"", "kind")
signature(NewClient.is_on_whatsapp).bind(None, "628", "629")
signature(NewClient.PairPhone).bind(None, "628", True)
for name in ("connect", "stop", "logout", "get_me"):
    signature(getattr(NewClient, name)).bind(None)
signature(NewClient._NewClient__onLoginStatus).bind(None, 0, 0)
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr


# With the one that plays a script


def test_linking_goes_from_code_to_scan_to_open(play: Play) -> None:
    child = play(
        [["qr", CODE], ["word", "success"], ["event", "PairStatus", binary("pair_status")], *CONNECTED]
    )
    assert child.hear("qr") == {"event": "qr", "code": CODE, "sequence": 1, "lifetime_seconds": 60.0}
    child.hear("scanned")
    child.hear("state", state="connecting", number="6281234567890")
    assert child.hear("state", state="open") == OPEN


def test_a_first_connect_that_failed_is_tried_again(play: Play) -> None:
    child = play([["fail", "failed to dial whatsapp web websocket: no such host"]], CONNECTED)
    child.hear("state", state="connecting", reason="network")
    child.hear("state", state="open")


def test_a_pairing_code_is_given_while_a_qr_code_is_shown(play: Play) -> None:
    child = play([["sleep", 0.3], ["qr", CODE]])
    assert child.call("pair", phone="6281234567890") == "K7QM2XVW"


def test_a_phone_that_cannot_be_paired_is_refused(play: Play) -> None:
    text = RECORDED_ERRORS["pair_phone_starting_with_0"]["text"]
    child = play([["qr", CODE]], errors={"081234567890": text})
    assert child.refusal("pair", phone="081234567890") == "bad_request"


def test_a_passkey_demand_ends_the_attempt(play: Play) -> None:
    child = play([["qr", CODE], ["word", "passkey-request"]])
    child.hear("state", state="close", reason="passkey_required")


def test_a_connection_lost_while_a_code_is_shown_asks_for_a_new_process(play: Play) -> None:
    child = play([["qr", CODE], ["sleep", 0.5], ["word", "timeout"]])
    child.hear("state", state="connecting", reason="network")
    assert child.ended.get(timeout=PATIENCE_SECONDS) == 75


def test_a_message_and_its_receipts_arrive_in_order(play: Play) -> None:
    steps = [["event", "Message", binary("message_text")]]
    steps += [["event", "Receipt", binary(f"receipt_{kind}")] for kind in ("delivery", "read", "played")]
    child = play([*CONNECTED, *steps])
    assert child.hear("message")["text"] == "Halo, pesanan saya sudah dikirim?"
    assert [child.hear("receipt")["type"] for _ in range(3)] == ["delivered", "read", "played"]


def test_a_drop_and_the_way_back_are_told_and_nothing_is_sent_between(play: Play, calls: Calls) -> None:
    drop = ["event", "Disconnected", binary("disconnected")]
    child = play([*CONNECTED, drop, ["sleep", 0.5], CONNECTED[1]])
    child.hear("state", state="open")
    child.hear("state", state="connecting", reason="network")
    assert child.refusal("send_text", to="6281299998888", text="Halo") == "not_connected"
    child.hear("state", state="open")
    assert calls("send") == []


def test_the_profile_name_is_told_when_it_is_known(play: Play) -> None:
    device = base64.b64decode(DEVICE).replace(b"\x2a\x00", b"\x2a\x0bToko Contoh")
    child = play(CONNECTED, later=encoded(device))
    assert "profile_name" not in child.hear("state", state="open")
    assert child.hear("profile") == {"event": "profile", "profile_name": "Toko Contoh"}


def test_a_ban_ends_it_and_says_how_long(play: Play) -> None:
    child = play([["event", "Device", DEVICE], ["event", "TemporaryBan", binary("temporary_ban")]])
    assert child.hear("state", state="close")["ban_seconds"] == 3600
    assert child.refusal("send_text", to="6281299998888", text="Halo") == "not_connected"


def test_after_an_unlink_on_the_phone_the_next_start_has_no_login(play: Play, tmp_path: Path) -> None:
    play([*CONNECTED, ["event", "LoggedOut", binary("logged_out_by_phone")]]).hear(
        "state", reason="logged_out"
    )
    (tmp_path / "store" / "whatsapp.db").write_bytes(b"keys of the login that was unlinked")
    play([["qr", CODE]]).hear("qr")
    assert (tmp_path / "store" / "whatsapp.db").read_bytes() == b""


def test_our_own_logout_is_answered_and_not_told_as_an_unlink(play: Play) -> None:
    child = play(CONNECTED)
    child.hear("state", state="open")
    child.call("logout")
    time.sleep(0.3)
    assert child.told.empty()


def test_a_failed_logout_changes_nothing(play: Play) -> None:
    child = play(CONNECTED, errors={"logout": "error sending logout request: websocket not connected"})
    child.hear("state", state="open")
    assert child.refusal("logout") == "not_connected"
    assert child.call("send_text", to="6281299998888", text="Halo")["id"]


def test_stop_closes_an_open_connection(play: Play, calls: Calls) -> None:
    child = play(CONNECTED)
    child.hear("state", state="open")
    child.call("stop")
    assert len(calls("stop")) == 1


# With an open connection


def test_the_phone_shows_our_name_beside_the_link(open_child: Child, home: Path) -> None:
    (client,) = calls_in(home, "client")
    assert (client["os"], client["uuid"], client["environment"]) == ("wa-admin", "wa-admin", "off")
    assert client["name"] == str(home / "store" / "whatsapp.db")


def test_text_goes_out_as_it_is(open_child: Child, sends: Calls) -> None:
    answer = open_child.call("send_text", to="6281299998888", text="Halo @628111222333 \N{PARTY POPPER}")
    assert answer == {"id": "3EB0A63A1E088742E626D4", "jid": "90986412571170@lid", "at": 1795231521}
    (sent,) = sends("send")
    assert sent["to"] == "6281299998888@s.whatsapp.net"
    # field 1 of waE2E.Message is conversation: no extendedTextMessage, so no mention
    text = "Halo @628111222333 \N{PARTY POPPER}".encode()
    assert base64.b64decode(sent["message"]) == bytes([0x0A, len(text)]) + text


@pytest.mark.parametrize(
    "to", ["120363025246125486@g.us", "90986412571170@lid", "62812345678-1500000000@g.us"]
)
def test_a_chat_is_addressed_by_its_id(open_child: Child, sends: Calls, to: str) -> None:
    open_child.call("send_text", to=to, text="Halo")
    assert [call["to"] for call in sends("send")] == [to]


@pytest.mark.parametrize(
    "to", ["/etc/passwd", "", "0812 3456", "628123456:1@s.whatsapp.net", "628123456@example.com"]
)
def test_what_is_no_address_is_refused(open_child: Child, sends: Calls, to: str) -> None:
    assert open_child.refusal("send_text", to=to, text="Halo") == "bad_request"
    assert sends("send") == []


def test_half_an_emoji_is_refused(open_child: Child, sends: Calls) -> None:
    assert open_child.refusal("send_text", to="6281299998888", text="Halo \ud83c") == "bad_request"
    assert sends("send") == []


@pytest.mark.parametrize(("number", "kind"), [(number, kind) for number, (_, kind) in REFUSED.items()])
def test_a_recorded_send_error_reaches_the_sender_as_its_kind(
    open_child: Child, number: str, kind: str
) -> None:
    assert open_child.refusal("send_text", to=number, text="Halo") == kind


def test_an_image_carries_its_size_and_a_thumbnail(open_child: Child, sends: Calls) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (640, 480), "green").save(picture, format="PNG")
    media = {"mimetype": "image/png", "filename": "a.png", "caption": "Bukti @62811"}
    open_child.call("send_media", to="6281299998888", kind="image", data=encoded(picture.getvalue()), **media)
    assert sends("upload") == [{"call": "upload", "kind": "MediaImage", "size": len(picture.getvalue())}]
    message = base64.b64decode(sends("send")[0]["message"])
    assert b"image/png" in message and b"Bukti @62811" in message
    assert b"\xff\xd8\xff" in message  # the thumbnail, a JPEG


def test_a_document_keeps_its_name_and_type(open_child: Child, sends: Calls) -> None:
    media = {"mimetype": "application/pdf", "filename": "faktur.pdf", "caption": None}
    open_child.call("send_media", to="6281299998888", kind="document", data=encoded(b"%PDF-1.7"), **media)
    message = base64.b64decode(sends("send")[0]["message"])
    assert b"application/pdf" in message and b"faktur.pdf" in message


def test_what_is_no_image_is_not_uploaded(open_child: Child, sends: Calls) -> None:
    media = {"mimetype": "image/png", "filename": None, "caption": None, "data": encoded(b"no picture")}
    assert open_child.refusal("send_media", to="6281299998888", kind="image", **media) == "bad_request"
    assert sends("upload") == []


def test_numbers_are_checked_in_their_order(open_child: Child) -> None:
    answers = open_child.call("check", numbers=["6281299998888", "6281200000000"])
    assert [answer["exists"] for answer in answers] == [True, False]
    assert [answer["jid"].partition("@")[0] for answer in answers] == ["6281299998888", "6281200000000"]


def test_only_digits_are_checked(open_child: Child) -> None:
    assert open_child.refusal("check", numbers=["0812 3456"]) == "bad_request"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


# Files that come in


def test_a_file_is_fetched_by_the_id_of_its_message(play: Play, calls: Calls) -> None:
    child = play([*CONNECTED, ["event", "Message", binary("message_document")]])
    told = child.hear("message")
    assert told["file"] == {"mimetype": "application/pdf", "filename": "invoice.pdf", "size_bytes": 999}
    assert child.call("download", message_id=told["id"]) == base64.b64encode(b"%PDF-1.4").decode()
    assert calls("download") == [{"call": "download", "path": "/y"}]


def test_a_file_that_whatsapp_no_longer_has_is_not_found(play: Play) -> None:
    document = [*CONNECTED, ["event", "Message", binary("message_document")]]
    child = play(document, errors={"download": "download failed with status code 403"})
    told = child.hear("message")
    for message_id in (told["id"], "3EB0NONE"):
        with pytest.raises(EngineError) as caught:
            child.call("download", message_id=message_id)
        assert caught.value.kind == "not_found"
