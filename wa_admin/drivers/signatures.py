"""Webhooks that a gateway signs with a secret of ours: an HMAC of the raw body, in hex, in a header."""

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
