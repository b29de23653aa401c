"""Every setting of wa-admin: its name, default, and how it is read.

Settings come from the environment as `WA_…`; a secret may also be given as a file, `WA_…_FILE`.
A value that cannot be used stops the start and is named. Needs nothing but the standard library,
so that the supervisor and the gateway can read settings without loading the panel.
"""

from __future__ import annotations

import base64
import errno
import ipaddress
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

# addresses to listen on that mean every address of the machine, and where it then finds itself
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}

DEFAULT_REGION = "ID"

# the drivers for gateways that are not ours: drivers/
GATEWAY_KINDS = ("evolution", "gowa", "wa_gateway", "waha", "webhook", "wwebjs")

PANEL_LOCK = "panel.lock"  # held together by all panels of this data directory, and alone by a restore
RESTORING = "restoring"  # where a restore makes things ready; while it is there, nothing starts


class BadSetting(ValueError):
    """A setting that cannot be used: its name, and what it should look like."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name = name


@dataclass(frozen=True)
class Settings:
    data_dir: Path
    database_url: str
    secret_key: str
    encryption_keys: tuple[str, ...]
    host: str
    port: int
    public_url: str
    allow_insecure_http: bool
    trusted_proxies: int
    max_sessions: int
    default_region: str
    engine: str
    gateway_host: str
    gateway_port: int
    gateway_key: str
    gateway_url: str
    hook_url: str
    gateway_kind: str
    send_interval_seconds: float
    resend_uncertain: bool
    poll_seconds: int
    health_check_seconds: int
    silent_after_seconds: int
    api_calls_per_minute: int
    alert_grace_seconds: int
    media_max_mb: int
    keep_message_text_days: int
    keep_media_days: int
    keep_timeline_days: int
    keep_webhook_days: int
    webhook_allow_cidrs: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    log_format: str

    @property
    def bundled_gateway_url(self) -> str:
        return f"http://{bracketed(reachable(self.gateway_host))}:{self.gateway_port}"

    @property
    def panel_url(self) -> str:
        """Where people reach the panel."""
        return self.public_url or f"http://{bracketed(reachable(self.host))}:{self.port}"

    @property
    def hook_base_url(self) -> str:
        """Where the gateway of the settings reaches the panel: the bundled one lives on this machine."""
        if self.hook_url:
            return self.hook_url
        if self.gateway_url and self.public_url:
            return self.public_url
        return f"http://{bracketed(reachable(self.host))}:{self.port}"

    @property
    def secure_cookies(self) -> bool:
        return not self.allow_insecure_http


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read all settings, making the data directory and missing keys on the first start.

    Raises BadSetting when one cannot be used.
    """
    env = _Environment(os.environ if environ is None else environ)
    data_dir, database_url = places(env.environ)
    _refuse_half_a_restore(data_dir)
    try:
        make_private_directory(data_dir)
        settings = _read(env, data_dir, database_url)
    except OSError as error:
        raise BadSetting("WA_DATA_DIR", f"cannot be used: {error}") from error
    _refuse_open_http(settings)
    _refuse_one_port_for_two(settings)
    return settings


def _read(env: _Environment, data_dir: Path, database_url: str) -> Settings:
    return Settings(
        data_dir=data_dir,
        database_url=database_url,
        secret_key=env.secret("WA_SECRET_KEY", data_dir / "secret.key", secrets.token_urlsafe),
        encryption_keys=encryption_keys(env.environ, data_dir),
        host=env.host("WA_HOST"),
        port=env.whole("WA_PORT", 8000, 1, 65535),
        public_url=env.site("WA_PUBLIC_URL"),
        allow_insecure_http=env.yes_no("WA_ALLOW_INSECURE_HTTP", False),
        trusted_proxies=env.whole("WA_TRUSTED_PROXIES", 0, 0, 5),
        max_sessions=env.whole("WA_MAX_SESSIONS", 1, 1, 10_000),
        default_region=env.region("WA_DEFAULT_REGION", DEFAULT_REGION),
        engine=env.choice("WA_ENGINE", "neonize", ("neonize", "simulator")),
        gateway_host=env.host("WA_GATEWAY_HOST"),
        gateway_port=env.whole("WA_GATEWAY_PORT", 8010, 1, 65535),
        gateway_key=env.secret("WA_GATEWAY_KEY", data_dir / "gateway.key", secrets.token_urlsafe),
        gateway_url=env.url("WA_GATEWAY_URL"),
        hook_url=env.url("WA_HOOK_URL"),
        gateway_kind=env.choice("WA_GATEWAY_KIND", "evolution", GATEWAY_KINDS),
        send_interval_seconds=env.number("WA_SEND_INTERVAL_SECONDS", 1.0, 0.0, 3600.0),
        resend_uncertain=env.yes_no("WA_RESEND_UNCERTAIN", False),
        poll_seconds=env.whole("WA_POLL_SECONDS", 10, 1, 3600),
        health_check_seconds=env.whole("WA_HEALTH_CHECK_SECONDS", 30, 1, 3600),
        silent_after_seconds=env.whole("WA_SILENT_AFTER_SECONDS", 7200, 10, 30 * 86400),
        api_calls_per_minute=env.whole("WA_API_CALLS_PER_MINUTE", 12_000, 1, 1_000_000),
        alert_grace_seconds=env.whole("WA_ALERT_GRACE_SECONDS", 300, 0, 86400),
        media_max_mb=env.whole("WA_MEDIA_MAX_MB", 16, 1, 100),
        keep_message_text_days=env.whole("WA_KEEP_MESSAGE_TEXT_DAYS", 90, 1, 36_500),
        keep_media_days=env.whole("WA_KEEP_MEDIA_DAYS", 30, 1, 36_500),
        keep_timeline_days=env.whole("WA_KEEP_TIMELINE_DAYS", 365, 31, 36_500),
        keep_webhook_days=env.whole("WA_KEEP_WEBHOOK_DAYS", 30, 1, 36_500),
        webhook_allow_cidrs=env.networks("WA_WEBHOOK_ALLOW_CIDRS"),
        log_format=env.choice("WA_LOG_FORMAT", "text", ("text", "json")),
    )


def places(environ: Mapping[str, str]) -> tuple[Path, str]:
    """The data directory and the address of the database; makes neither. Raises BadSetting."""
    env = _Environment(environ)
    data_dir = Path(env.text("WA_DATA_DIR", "instance")).expanduser().absolute()
    if "?" in str(data_dir):  # the address of the database would end there, and name a file outside
        raise BadSetting("WA_DATA_DIR", f"must hold no “?”: {data_dir}")
    return data_dir, env.database_url("WA_DATABASE_URL", f"sqlite:///{data_dir / 'wa-admin.db'}")


def secret_of(environ: Mapping[str, str], name: str) -> str:
    """What the variable holds, or the file that `name`_FILE names; else nothing. Raises BadSetting."""
    return _Environment(environ).given(name)


def database_url(name: str, value: str) -> str:
    """A database, written as in WA_DATABASE_URL. Raises BadSetting, which goes by this name."""
    return _Environment({name: value}).database_url(name, "")


def encryption_keys(environ: Mapping[str, str], data_dir: Path) -> tuple[str, ...]:
    """What seals the secrets of this data directory, newest first; made at the first start.

    Raises BadSetting when they cannot be used.
    """
    _refuse_half_a_restore(data_dir)
    return _Environment(environ).fernet_keys("WA_ENCRYPTION_KEYS", data_dir / "encryption.keys")


def make_private_directory(path: Path) -> None:
    """Raises OSError, also for one in which nothing can be written."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "this user may not write there", str(path))


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reachable(host: str) -> str:
    """Where a listener is found from this machine: no link opens on "all addresses"."""
    return EVERYWHERE.get(host, host)


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _refuse_half_a_restore(data_dir: Path) -> None:
    if (data_dir / RESTORING).exists():
        raise BadSetting("WA_DATA_DIR", "holds a restore that was cut short: run `wa-admin restore` again")


def _refuse_open_http(settings: Settings) -> None:
    https = settings.public_url.startswith("https://")
    if not is_loopback(settings.host) and not https and not settings.allow_insecure_http:
        raise BadSetting(
            "WA_HOST",
            f"is {settings.host}, which other machines can reach: set WA_PUBLIC_URL to the https:// "
            "address of your proxy, or WA_ALLOW_INSECURE_HTTP=1 if passwords may cross your network in the "
            "clear",
        )


def _refuse_one_port_for_two(settings: Settings) -> None:
    panel, gateway = (settings.host, settings.port), (settings.gateway_host, settings.gateway_port)
    if not settings.gateway_url and panel == gateway:
        raise BadSetting("WA_GATEWAY_PORT", "is the same as WA_PORT: gateway and panel need one each")


class _Environment:
    """The environment, read with a type and a default each."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def text(self, name: str, default: str = "") -> str:
        return self.environ.get(name, "").strip() or default

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        return int(self._within(name, default, low, high, int))

    def number(self, name: str, default: float, low: float, high: float) -> float:
        return self._within(name, default, low, high, float)

    def _within(
        self, name: str, default: float, low: float, high: float, kind: Callable[[str], float]
    ) -> float:
        raw = self.text(name)
        if not raw:
            return default
        try:
            value = kind(raw)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise BadSetting(name, f"must be a number from {low} to {high}, not {raw!r}")
        return value

    def yes_no(self, name: str, default: bool) -> bool:
        raw = self.text(name).lower()
        if raw in ("1", "true", "yes", "on"):
            return True
        if raw in ("0", "false", "no", "off"):
            return False
        if raw:
            raise BadSetting(name, f"must be 1 or 0, not {raw!r}")
        return default

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, default).lower()
        if value not in choices:
            raise BadSetting(name, f"must be one of {', '.join(choices)}, not {value!r}")
        return value

    def region(self, name: str, default: str) -> str:
        value = self.text(name, default).upper()
        if len(value) != 2 or not value.isascii() or not value.isalpha():
            raise BadSetting(name, f"must be a two-letter country code such as ID or BR, not {value!r}")
        return value

    def host(self, name: str) -> str:
        """An IPv6 address may stand in brackets, as in an address of the web."""
        return self.text(name, "127.0.0.1").removeprefix("[").removesuffix("]")

    def url(self, name: str) -> str:
        value = self.text(name).rstrip("/")
        if not value:
            return ""
        try:
            parts = urlsplit(value)
            more = parts.query or parts.fragment or "@" in parts.netloc
            is_plain = bool(parts.hostname) and parts.port != 0 and not more
        except ValueError:  # no IPv6 address, or no port
            is_plain = False
        if not is_plain or parts.scheme not in ("http", "https"):
            raise BadSetting(name, "must be a plain http:// or https:// address without user, query or key")
        return parts.geturl()

    def site(self, name: str) -> str:
        """The pages of the panel lead to each other from the root of their host."""
        value = self.url(name)
        if urlsplit(value).path:
            raise BadSetting(name, "must be an address without a path: give the panel a host name of its own")
        return value

    def networks(self, name: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        try:
            networks = filter(None, map(str.strip, self.text(name).split(",")))
            return tuple(map(ipaddress.ip_network, networks))
        except ValueError as error:
            raise BadSetting(name, f"must list networks such as 10.0.0.0/8,fd00::/8: {error}") from error

    def database_url(self, name: str, default: str) -> str:
        value = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", self.given(name) or default)
        if not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise BadSetting(name, "must start with sqlite:/// or postgresql+psycopg://")
        if value.startswith("postgresql"):
            _check_postgresql(name, value)
        return value

    def secret(self, name: str, made_at: Path, make: Callable[[], str]) -> str:
        """A given secret, or one made once and kept in the data directory."""
        value = self.given(name) or _keep(made_at, make)
        if len(value) < 16:
            raise BadSetting(name, "must be at least 16 characters: run without it to have one made")
        return value

    def fernet_keys(self, name: str, made_at: Path) -> tuple[str, ...]:
        made = self.given(name) or _keep(made_at, new_fernet_key)
        keys = tuple(made.replace(",", " ").split())
        if not keys or not all(map(_is_fernet_key, keys)):
            raise BadSetting(name, "must hold url-safe base64 keys of 32 bytes, newest first")
        return keys

    def given(self, name: str) -> str:
        """In the variable, or in the file that `name`_FILE names."""
        path = self.text(f"{name}_FILE")
        if not path:
            return self.text(name)
        try:
            content = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = getattr(error, "strerror", None) or "it is no text"
            raise BadSetting(f"{name}_FILE", f"cannot be read: {problem}") from error
        if not content:  # another one would be made, or another database be used
            raise BadSetting(f"{name}_FILE", f"names an empty file: write the value into {path}")
        return content


def _check_postgresql(name: str, url: str) -> None:
    try:
        _ = urlsplit(url).port
    except ValueError as error:
        problem = "cannot be read: postgresql+psycopg://user:password@host:5432/database"
        raise BadSetting(name, problem) from error
    if find_spec("psycopg") is None:
        raise BadSetting(name, "needs a package that is not installed: pip install 'psycopg[binary]'")


def new_fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _is_fernet_key(key: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(key)) == 32
    except ValueError:
        return False


def _keep(path: Path, make: Callable[[], str]) -> str:
    """What the file holds; when there is none, made whole in one step, so that two starts agree."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(make())
        try:
            os.link(draft, path)
        except FileExistsError:
            return _keep(path, make)
        finally:
            draft.unlink()
    return path.read_text().strip()
