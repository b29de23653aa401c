"""What is encrypted at rest (can be read back) and what is hashed (cannot)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

BY_GCM = b"\x81"  # the first byte of what is sealed so; Fernet's is 0x80
NONCE_BYTES = 12


class WrongEncryptionKey(Exception):
    """A stored secret was written with a key that WA_ENCRYPTION_KEYS no longer holds."""


class Key:
    """One of WA_ENCRYPTION_KEYS: seals with AES-256-GCM, and opens what Fernet sealed in 0.1.0 as well."""

    def __init__(self, written: str) -> None:
        self._fernet = Fernet(written)
        made = HKDF(SHA256(), length=32, salt=None, info=b"wa-admin AES-256-GCM")
        self._gcm = AESGCM(made.derive(urlsafe_b64decode(written)))

    def seal(self, plain: bytes) -> str:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return urlsafe_b64encode(BY_GCM + nonce + self._gcm.encrypt(nonce, plain, None)).decode()

    def open(self, token: str) -> bytes | None:
        """None when this is not the key, or the token was changed."""
        try:
            sealed = urlsafe_b64decode(token)
            if not sealed.startswith(BY_GCM):
                return self._fernet.decrypt(token.encode())
            nonce, rest = sealed[1 : NONCE_BYTES + 1], sealed[NONCE_BYTES + 1 :]
            return self._gcm.decrypt(nonce, rest, None)
        except (InvalidTag, InvalidToken, ValueError):
            return None


class Vault:
    """Seals with the newest key and opens with any, so that keys can be rotated.

    What is sealed begins with the id of its key, `3f2a9c01.g…`; before 0.2.0 there was none.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = {key_id(key): Key(key) for key in keys}
        self.newest = key_id(keys[0])

    def seal(self, plain: str) -> str:
        return f"{self.newest}.{self._keys[self.newest].seal(plain.encode())}"

    def open(self, sealed: str) -> str:
        """Raises WrongEncryptionKey when no key fits."""
        id, _, token = sealed.rpartition(".")
        for key in [self._keys[id]] if id in self._keys else [] if id else self._keys.values():
            plain = key.open(token)
            if plain is not None:
                return plain.decode()
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
