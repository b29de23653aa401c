"""What is encrypted at rest (can be read back) and what is hashed (cannot)."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class WrongEncryptionKey(Exception):
    """A stored secret was written with a key that WA_ENCRYPTION_KEYS no longer holds."""


class Vault:
    """Encrypts with the newest key, reads with any, so that keys can be rotated."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, plain: str) -> str:
        return self._fernet.encrypt(plain.encode()).decode()

    def open(self, sealed: str) -> str:
        """Raises WrongEncryptionKey when no key fits."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise WrongEncryptionKey("a stored secret does not fit WA_ENCRYPTION_KEYS") from error


def new_token() -> str:
    """256 random bits, fit for a URL."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """SHA-256 in hex. Only for tokens with high entropy; passwords go through argon2."""
    return hashlib.sha256(token.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
