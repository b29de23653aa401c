"""Our webhook among those that a WAHA session may have: writing them replaces them all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .shapes import object_of

OURS = {"name": "X-Wa-Admin", "value": "1"}  # known by this header when our URL has changed


def entry(url: str, events: Iterable[str], key: str) -> dict[str, Any]:
    return {
        "url": url,
        "events": sorted(events),
        "hmac": {"key": key},
        "retries": {"policy": "exponential", "delaySeconds": 2, "attempts": 10},
        "customHeaders": [OURS],
    }


def ours_of(session: dict[str, Any]) -> dict[str, Any] | None:
    return next(filter(_is_ours, _all_of(session)), None)


def key_of(hook: dict[str, Any]) -> Any:
    return object_of(hook.get("hmac")).get("key")


def events_of(hook: dict[str, Any]) -> frozenset[str]:
    return frozenset(event for event in hook.get("events") or [] if isinstance(event, str))


def with_entry(session: dict[str, Any], wanted: dict[str, Any]) -> list[dict[str, Any]] | None:
    """What to write so that this is our only entry; None when it is already."""
    foreign = [hook for hook in _all_of(session) if not _is_ours(hook) and hook.get("url") != wanted["url"]]
    ours = [hook for hook in _all_of(session) if hook not in foreign]
    if len(ours) == 1 and _is_ours(ours[0]) and _says_the_same(ours[0], wanted):
        return None
    return [*foreign, wanted]


def _all_of(session: dict[str, Any]) -> list[dict[str, Any]]:
    found = object_of(session.get("config")).get("webhooks")
    return [hook for hook in found if isinstance(hook, dict)] if isinstance(found, list) else []


def _is_ours(hook: dict[str, Any]) -> bool:
    return OURS in (hook.get("customHeaders") or [])


def _says_the_same(hook: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """WAHA may add fields of its own, and put the events in an order of its own."""
    return all(of(hook) == of(wanted) for of in (lambda one: one.get("url"), events_of, key_of))
