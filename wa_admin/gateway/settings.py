"""What the gateway reads from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wa_admin.config import BadSetting, encryption_keys, make_private_directory
from wa_admin.gateway.engines import ENGINES


@dataclass(frozen=True)
class Settings:
    """Where the gateway listens and keeps its data, its keys, and which engine it embeds."""

    data_dir: Path
    key: str
    encryption_keys: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 8010
    engine: str = "neonize"
    log_format: str = "text"
    simulator_speed: float = 1.0

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Makes the data directory and its keys at the first start, as the panel does.

        Raises BadSetting for the first value that cannot be used, OSError when there can be no directory.
        """
        data_dir = Path(environ.get("WA_DATA_DIR") or "instance").expanduser().resolve()
        key = _key(environ)
        make_private_directory(data_dir)
        return cls(
            data_dir=data_dir,
            key=key,
            encryption_keys=encryption_keys(environ, data_dir),
            host=environ.get("WA_GATEWAY_HOST") or "127.0.0.1",
            port=_port(environ.get("WA_GATEWAY_PORT") or "8010"),
            engine=_one_of("WA_ENGINE", environ.get("WA_ENGINE") or "neonize", tuple(ENGINES)),
            log_format=_one_of("WA_LOG_FORMAT", environ.get("WA_LOG_FORMAT") or "text", ("text", "json")),
            simulator_speed=_speed(environ.get("WA_SIMULATOR_SPEED") or "1"),
        )


def _key(environ: Mapping[str, str]) -> str:
    key = environ.get("WA_GATEWAY_KEY", "").strip()
    file = environ.get("WA_GATEWAY_KEY_FILE", "")
    if not key and file:
        try:
            key = Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadSetting("WA_GATEWAY_KEY_FILE", f"cannot be read: {type(error).__name__}") from error
    if not key:
        raise BadSetting("WA_GATEWAY_KEY", "(or WA_GATEWAY_KEY_FILE) is not set: the gateway needs a key")
    return key


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise BadSetting("WA_GATEWAY_PORT", "is not a port number")
    return int(text)


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise BadSetting(name, f"is not one of {', '.join(choices)}")
    return value


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < 10_000:
        raise BadSetting("WA_SIMULATOR_SPEED", "is not a number between 0 and 10000")
    return speed
