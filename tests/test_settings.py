"""Settings: read with a type, refused by name, kept safe, and all of them in the README."""

import os
import re
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wa_admin import config

ROOT = Path(__file__).parent.parent
FOR_TESTS_ONLY = {"WA_ADMIN_CRASH_AT"}
WORDS_OF_WHATSAPP = {"WA_REACHOUT_TIMELOCK"}


@pytest.fixture
def load(tmp_path):
    """Settings as they are with these in the environment."""

    def load(**environ):
        return config.load({"WA_DATA_DIR": str(tmp_path / "data"), **environ})

    return load


def test_everything_has_a_default(load):
    settings = load()
    assert (settings.host, settings.port, settings.engine) == ("127.0.0.1", 8000, "neonize")
    assert (settings.max_sessions, settings.poll_seconds, settings.health_check_seconds) == (1, 10, 30)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WA_PORT", "http"),
        ("WA_PORT", "0"),
        ("WA_PORT", "65536"),
        ("WA_GATEWAY_PORT", "-1"),
        ("WA_GATEWAY_PORT", "8000"),
        ("WA_MAX_SESSIONS", "0"),
        ("WA_MAX_SESSIONS", "many"),
        ("WA_POLL_SECONDS", "0.5"),
        ("WA_HEALTH_CHECK_SECONDS", "never"),
        ("WA_SEND_INTERVAL_SECONDS", "nan"),
        ("WA_SEND_INTERVAL_SECONDS", "-1"),
        ("WA_DEFAULT_REGION", "Indonesia"),
        ("WA_ENGINE", "baileys"),
        ("WA_LOG_FORMAT", "xml"),
        ("WA_WEBHOOK_ALLOW_CIDRS", "localhost"),
        ("WA_WEBHOOK_ALLOW_CIDRS", "127.0.0.1/8"),
        ("WA_GATEWAY_KIND", "signal"),
        ("WA_GATEWAY_URL", "ftp://gateway"),
        ("WA_GATEWAY_URL", "https://user:secret@gateway"),
        ("WA_PUBLIC_URL", "panel.example.com"),
        ("WA_PUBLIC_URL", "https://[panel"),
        ("WA_PUBLIC_URL", "https://panel:port"),
        ("WA_PUBLIC_URL", "https://panel.example.com/wa-admin"),
        ("WA_DATA_DIR", "data?"),
        ("WA_DATABASE_URL", "mysql://root@localhost/wa"),
        ("WA_DATABASE_URL", "postgresql+psycopg://u:p@localhost:port/wa"),
        ("WA_API_CALLS_PER_MINUTE", "0"),
        ("WA_SECRET_KEY", "short"),
        ("WA_GATEWAY_KEY", "short"),
        ("WA_ENCRYPTION_KEYS", "not-a-fernet-key"),
        ("WA_ENCRYPTION_KEYS", ","),
        ("WA_TRUSTED_PROXIES", "yes"),
        ("WA_ALLOW_INSECURE_HTTP", "perhaps"),
        ("WA_HOST", "0.0.0.0"),
    ],
)
def test_a_bad_value_stops_the_start_by_name(load, name, value):
    with pytest.raises(config.BadSetting, match=rf"^{name} ") as refused:
        load(**{name: value})
    assert refused.value.name == name


def test_postgresql_without_its_driver_says_what_to_install(load, monkeypatch):
    monkeypatch.delitem(sys.modules, "psycopg", raising=False)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(config.BadSetting, match=r"^WA_DATABASE_URL .* pip install 'psycopg\[binary\]'$"):
        load(WA_DATABASE_URL="postgresql+psycopg://u:p@localhost/wa")


def test_a_region_that_is_no_country_stops_the_panel(make_app):
    with pytest.raises(config.BadSetting, match="^WA_DEFAULT_REGION "):
        make_app(WA_DEFAULT_REGION="ZZ")


@pytest.mark.parametrize("name", ["WA_SECRET_KEY", "WA_GATEWAY_KEY", "WA_ENCRYPTION_KEYS"])
def test_a_refused_secret_is_not_shown(load, name):
    with pytest.raises(config.BadSetting) as refused:
        load(**{name: "hush-hush"})
    assert "hush" not in str(refused.value)


def test_a_secret_may_come_from_a_file(load, tmp_path):
    (tmp_path / "key").write_text("a key of the gateway, from a file\n")
    settings = load(WA_GATEWAY_KEY_FILE=str(tmp_path / "key"))
    assert settings.gateway_key == "a key of the gateway, from a file"


def test_a_secret_file_that_is_not_there_is_named(load, tmp_path):
    with pytest.raises(config.BadSetting, match="^WA_SECRET_KEY_FILE "):
        load(WA_SECRET_KEY_FILE=str(tmp_path / "missing"))


def test_a_secret_file_that_is_no_text_is_named(load, tmp_path):
    (tmp_path / "key").write_bytes(b"\xff" * 40)
    with pytest.raises(config.BadSetting, match="^WA_SECRET_KEY_FILE .* no text"):
        load(WA_SECRET_KEY_FILE=str(tmp_path / "key"))


@pytest.mark.parametrize("name", ["WA_SECRET_KEY", "WA_ENCRYPTION_KEYS", "WA_DATABASE_URL"])
def test_an_empty_secret_file_is_named_and_nothing_made_in_its_place(load, tmp_path, name):
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(config.BadSetting, match=rf"^{name}_FILE .* empty"):
        load(**{f"{name}_FILE": str(tmp_path / "empty")})


def test_addresses_are_taken_as_people_write_them(load):
    settings = load(WA_HOST="[::1]", WA_GATEWAY_HOST="[::1]", WA_PUBLIC_URL="HTTPS://panel.example.com/")
    assert (settings.host, settings.bundled_gateway_url) == ("::1", "http://[::1]:8010")
    assert settings.panel_url == "https://panel.example.com"


def test_the_data_directory_and_its_keys_are_private(load):
    data_dir = load().data_dir
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in data_dir.iterdir()} == {0o600}


def test_a_data_directory_that_others_could_read_is_closed(load, tmp_path):
    (tmp_path / "data").mkdir(mode=0o755)
    load()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_data_directory_in_which_nothing_can_be_written_stops_the_start(load, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(config.BadSetting, match="^WA_DATA_DIR .* may not write"):
        load()


def test_keys_made_at_the_first_start_stay(load):
    first, second = load(), load()
    assert first.secret_key == second.secret_key
    assert first.encryption_keys == second.encryption_keys
    assert first.gateway_key == second.gateway_key


def test_first_starts_at_the_same_time_agree_on_the_keys(load):
    with ThreadPoolExecutor(8) as pool:
        keys = {settings.secret_key for settings in pool.map(lambda _: load(), range(24))}
    assert len(keys) == 1


def test_the_readme_lists_every_setting():
    readme = (ROOT / "README.md").read_text()
    assert [name for name in sorted(_names()) if f"`{name}`" not in readme] == []


def test_the_readme_lists_no_setting_that_is_not_there():
    named = set(re.findall(r"`(WA_[A-Z_]+)`", (ROOT / "README.md").read_text()))
    assert named - _names() - {f"{name}_FILE" for name in _names()} == set()


def _names():
    """Every setting that the code reads, by the literals in it."""
    found = set()
    for path in (ROOT / "wa_admin").rglob("*.py"):
        found |= set(re.findall(r"[\"'](WA_[A-Z_]+[A-Z])(?:_FILE)?[\"']", path.read_text()))
    return {name.removesuffix("_FILE") for name in found} - FOR_TESTS_ONLY - WORDS_OF_WHATSAPP
