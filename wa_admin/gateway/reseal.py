"""`python -m wa_admin.gateway.reseal`: seal what the gateway keeps with the newest of its keys.

Beside a running gateway too, which must know that key already. `--count` only says how much is left to do.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

from wa_admin.config import BadSetting, encryption_keys
from wa_admin.crypto import Vault, WrongEncryptionKey
from wa_admin.gateway.store import Store


def main() -> None:
    home = Path(os.environ.get("WA_DATA_DIR") or "instance").expanduser().resolve()
    database = home / "gateway" / "gateway.db"
    if not database.exists():
        print(0)
        return
    try:
        store = Store(database, Vault(encryption_keys(os.environ, home)))
        print(store.left_of_older() if "--count" in sys.argv else store.reseal())
        store.close()
    except (BadSetting, OSError, sqlite3.Error, WrongEncryptionKey) as error:
        print(f"gateway: {error}", file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
