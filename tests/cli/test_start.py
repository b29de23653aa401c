import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import forked
import pytest

WA_ADMIN = Path(sys.executable).parent / "wa-admin"


def environment(cwd):
    plain = {name: value for name, value in os.environ.items() if not name.startswith("WA_")}
    return {**plain, "WA_DATA_DIR": str(cwd / "data")}


def wa_admin(*arguments, cwd, **environ):
    return forked.wa_admin(*arguments, environ=environment(cwd) | environ, cwd=cwd)


def test_the_version_needs_neither_flask_nor_click():
    code = (
        "import sys; sys.argv = ['wa-admin', '--version']\n"
        "from wa_admin.cli import main; main()\n"
        "print([m for m in ('flask', 'click', 'sqlalchemy') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == f"wa-admin {version('wa-admin')}\n[]\n"


def test_the_panel_starts_without_what_it_may_never_need(tmp_path):
    code = (
        "import sys; from wa_admin import create_app; create_app()\n"
        "slow = 'sqlalchemy.dialects.postgresql', 'alembic', 'phonenumbers', 'httpx', 'webauthn', 'qrcode'\n"
        "print([m for m in slow if m in sys.modules])"
    )
    environ = os.environ | {"WA_DATA_DIR": str(tmp_path)}
    environ.pop("WA_DATABASE_URL", None)
    started = [sys.executable, "-c", code]
    told = subprocess.run(started, env=environ, capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_it_works_from_any_directory(tmp_path):
    upgraded = wa_admin("db", "upgrade", cwd=tmp_path)
    assert upgraded.returncode == 0, upgraded.stderr
    assert {oct(made.stat().st_mode)[-2:] for made in (tmp_path / "data").iterdir()} == {"00"}
    command, environ = [WA_ADMIN, "sessions", "list"], environment(tmp_path)
    listed = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert (listed.returncode, "no session yet" in listed.stdout) == (0, True)


def test_a_database_without_tables_is_said_to_be_so(tmp_path):
    told = wa_admin("sessions", "list", cwd=tmp_path)
    assert told.returncode == 2 and "wa-admin db upgrade" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_database_that_cannot_be_upgraded_is_said_to_be_so(tmp_path):
    told = wa_admin("db", "upgrade", cwd=tmp_path, WA_DATABASE_URL="sqlite:////dev/null/wa-admin.db")
    assert told.returncode == 2 and told.stderr.startswith("Error: The database cannot be used: ")


def test_a_bad_setting_is_named_in_one_line(tmp_path):
    told = wa_admin("sessions", "list", cwd=tmp_path, WA_PORT="many")
    assert told.returncode == 2
    assert told.stderr.startswith("wa-admin: WA_PORT must be") and told.stderr.count("\n") == 1


def test_a_data_directory_that_cannot_be_made_is_said_to_be_so(tmp_path):
    (tmp_path / "file").touch()
    told = wa_admin("sessions", "list", cwd=tmp_path, WA_DATA_DIR=str(tmp_path / "file" / "data"))
    assert told.returncode == 2 and told.stderr.startswith("wa-admin: WA_DATA_DIR cannot be used: ")


FLASK = ["-m", "flask", "--app", "wsgi"]


def test_flask_finds_the_same_commands(tmp_path):
    command, environ = [sys.executable, *FLASK, "--help"], environment(tmp_path)
    told = subprocess.run(command, cwd=forked.ROOT, env=environ, capture_output=True, text=True)
    assert all(
        name in told.stdout for name in ("sessions", "send", "users", "keys", "outbox", "doctor", "db", "up")
    )


@pytest.mark.parametrize(
    "bad",
    [
        {"WA_PORT": "many"},
        {"WA_DATA_DIR": "/dev/null/data"},
        {"WA_DATABASE_URL": "postgresql+psycopg://u:hush@h:port/d"},
    ],
)
def test_both_ways_to_start_name_a_bad_setting_in_the_same_line(tmp_path, bad):
    environ = {"WA_DATA_DIR": str(tmp_path), **bad}
    ours, flasks = wa_admin("up", cwd=tmp_path, **environ), forked.run([*FLASK, "up"], os.environ | environ)
    assert (ours.returncode, ours.stderr.count("\n")) == (2, 1)
    assert (flasks.returncode, flasks.stderr) == (2, ours.stderr)
    assert next(reversed(bad)) in ours.stderr and "hush" not in ours.stderr


@pytest.mark.parametrize("arguments", [[], ["--help"], ["sessions", "--help"], ["gateway", "run", "--help"]])
def test_help_is_at_hand(run, arguments):
    assert "Usage:" in run(*arguments).output


def test_the_gateway_takes_the_settings_of_the_panel(tmp_path):
    told = wa_admin("gateway", "run", cwd=tmp_path, WA_GATEWAY_HOST="192.0.2.1", WA_ENGINE="simulator")
    assert "cannot listen on 192.0.2.1:8010" in told.stderr  # it got as far as to listen, with the made key
