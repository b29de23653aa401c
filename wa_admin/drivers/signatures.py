"""What proves a webhook, by a key of ours: an HMAC of the raw body, in hex, or the token of its session."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping


def header(headers: Mapping[str, str], name: str) -> str:
    """A header whatever its case, "" when it is missing."""
    return next((value for key, value in headers.items() if key.lower() == name.lower()), "")


def is_signed(body: bytes, signature: str, keys: Iterable[str], algorithm: str) -> bool:
    """Whether one of these keys made this signature; without a key nothing is."""
    found = signature.strip().lower().encode()
    made = [hmac.new(key.encode(), body, algorithm).hexdigest().encode() for key in keys if key]
    return any(hmac.compare_digest(one, found) for one in made)


def token_of(instance: str, key: str) -> str:
    """What a webhook of this session bears. It tells nothing of the key, nor of another session's token."""
    return "Bearer " + hmac.new(key.encode(), b"webhooks of " + instance.encode(), "sha256").hexdigest()


def bears_token(instance: str, found: str, keys: Iterable[str]) -> bool:
    """Whether this is its token by one of these keys; without a key nothing is."""
    made = [token_of(instance, key).encode() for key in keys if key]
    return any(hmac.compare_digest(one, found.encode()) for one in made)
