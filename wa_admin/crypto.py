"""What is encrypted at rest (can be read back) and what is hashed (cannot)."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cryptography.fernet import Fernet, InvalidToken


class WrongEncryptionKey(Exception):
    """A stored secret was written with a key that WA_ENCRYPTION_KEYS no longer holds."""


class Vault:
    """Seals with the newest key and opens with any, so that keys can be rotated.

    What is sealed begins with the id of its key, `3f2a9c01.gAAAA…`; before 0.2.0 there was none.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = {key_id(key): Fernet(key) for key in keys}
        self.newest = key_id(keys[0])

    def seal(self, plain: str) -> str:
        return f"{self.newest}.{self._keys[self.newest].encrypt(plain.encode()).decode()}"

    def open(self, sealed: str) -> str:
        """Raises WrongEncryptionKey when no key fits."""
        id, _, token = sealed.rpartition(".")
        for key in [self._keys[id]] if id in self._keys else [] if id else self._keys.values():
            try:
                return key.decrypt(token.encode()).decode()
            except InvalidToken:
                continue
        raise WrongEncryptionKey(
            f"a stored secret was sealed with {f'the key {id}' if id else 'another key'}, and there is only "
            f"{', '.join(self._keys)}: set WA_ENCRYPTION_KEYS, or the file encryption.keys, to what it was"
        )

    def is_by_newest(self, sealed: str) -> bool:
        """Whether no older key is needed for it."""
        return sealed.startswith(f"{self.newest}.")


def key_id(key: str) -> str:
    """What may be told of a key: four bytes of its hash."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def new_token() -> str:
    """256 random bits, fit for a URL."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """SHA-256 in hex. Only for tokens with high entropy; passwords go through argon2."""
    return hashlib.sha256(token.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
