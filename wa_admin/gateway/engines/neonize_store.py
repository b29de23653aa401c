"""Where the login of one number lies on disk."""

from __future__ import annotations

from pathlib import Path


class LoginStore:
    """A directory with whatsmeow's database. Only its owner may read it: it holds the keys of the account.

    A database that is open in Go is never deleted: that is left to the next process, by a note.
    """

    def __init__(self, home: Path) -> None:
        """Make it ready, 0700 and 0600, before neonize would create the database readable for everyone."""
        self.database = home / "whatsapp.db"
        self._unlinked = home / "unlinked"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
        if self._unlinked.exists():
            self._remove()
        self.database.touch(mode=0o600)
        self.database.chmod(0o600)

    def forget_login(self) -> None:
        """Begin the next process without a login: this one may be killed before whatsmeow has deleted it."""
        self._unlinked.touch()

    def set_aside(self) -> None:
        """Keep an unreadable database for a person to look at, out of the way of the next process."""
        self.database.replace(self.database.with_suffix(".unreadable"))

    def _remove(self) -> None:
        for suffix in ("-journal", "-wal", "-shm", ""):
            self.database.with_name(self.database.name + suffix).unlink(missing_ok=True)
        self._unlinked.unlink()
