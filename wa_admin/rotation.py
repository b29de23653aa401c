"""A new encryption key for everything, and the end of the old ones.

The old keys stay until they are dropped, so that a rotation which was cut short loses nothing: the next one
goes on with it. Backups bring the keys of their time along.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from . import config, processes
from .app import settings
from .backups import places
from .crypto import Vault, WrongEncryptionKey
from .extensions import db, writing
from .refusal import Refusal
from .services import audit, keys

KEY_FILE = "encryption.keys"


class KeysAreSet(Refusal):
    code = "keys_are_set"

    def __init__(self, newest: str) -> None:
        super().__init__(
            f"Everything is sealed with the key {newest} already. WA_ENCRYPTION_KEYS is set, so the new key "
            "has to come from you: put it in front of the others on every machine, restart all of them, and "
            "run this again."
        )


class OldKeysAreNeeded(Refusal):
    code = "old_keys_are_needed"

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} secrets need an old key still: run `wa-admin rotate-keys` first.")


@dataclass(frozen=True)
class Rotated:
    """`newest` is the id of the key that seals everything now, `older` are those that are kept."""

    newest: str
    older: int
    secrets: int


def rotate() -> Rotated:
    """Seal all that is stored anew: with a new key, unless an earlier rotation is not finished.

    Raises InUse while others know only the old keys, KeysAreSet, WrongEncryptionKey before anything changes.
    """
    all_keys, ours = settings().encryption_keys, _ours_to_write()
    with _alone(ours):
        vault = Vault(all_keys)
        if problem := keys.unreadable(vault):
            raise WrongEncryptionKey(problem)
        if not (keys.left_of_older(vault) + _gateway("--count", all_keys)):
            if not ours:
                raise KeysAreSet(vault.newest)
            all_keys = (config.new_fernet_key(), *all_keys)
            _write(all_keys)
            vault = Vault(all_keys)
        count = keys.reseal(vault) + _gateway("", all_keys)
        keys.wipe_log()
        with writing():
            audit.record("keys_rotated", workspace_id=None, actor="cli", object=vault.newest, count=count)
    return Rotated(vault.newest, len(all_keys) - 1, count)


def drop_old() -> Rotated:
    """Forget all keys but the newest. Raises OldKeysAreNeeded, InUse."""
    all_keys, ours = settings().encryption_keys, _ours_to_write()
    with _alone(ours):
        vault = Vault(all_keys)
        if left := keys.left_of_older(vault) + _gateway("--count", all_keys):
            raise OldKeysAreNeeded(left)
        if ours and len(all_keys) > 1:
            _write(all_keys[:1])
            with writing():
                audit.record("old_keys_dropped", workspace_id=None, actor="cli", object=vault.newest)
    return Rotated(vault.newest, 0 if ours else len(all_keys) - 1, 0)


def _ours_to_write() -> bool:
    return not config.secret_of(os.environ, "WA_ENCRYPTION_KEYS")


@contextmanager
def _alone(ours: bool) -> Iterator[None]:
    """Where we make the key nobody else may run, since they read it at their start."""
    if not ours:
        yield
        return
    db.engine.dispose()
    wanted = settings()
    told = {"WA_DATA_DIR": str(wanted.data_dir), "WA_DATABASE_URL": wanted.database_url}
    with places.alone(places.Places.told_by(told)):
        yield


def _gateway(option: str, all_keys: tuple[str, ...]) -> int:
    """Of the bundled gateway's own database, in a process of its own: how many secrets."""
    environment = processes.gateway_environment(settings())
    environment |= {"WA_ENCRYPTION_KEYS": " ".join(all_keys)}
    environment.pop("WA_ENCRYPTION_KEYS_FILE", None)
    run = [sys.executable, "-m", "wa_admin.gateway.reseal", *filter(None, [option])]
    done = subprocess.run(run, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise WrongEncryptionKey(done.stderr.strip().removeprefix("gateway: "))
    return int(done.stdout)


def _write(all_keys: tuple[str, ...]) -> None:
    """Whole or not at all, and on disk before anything is sealed with it."""
    path = settings().data_dir / KEY_FILE
    draft = path.with_name(f"{KEY_FILE}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(all_keys) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
