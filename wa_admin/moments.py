"""Moments as people read them: in their zone, in few letters, and counting on by themselves.

`ago` and `until` leave as <time> elements that app.js keeps up to date with the same words.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

import babel.dates
from babel.dates import format_skeleton
from flask import current_app
from flask_babel import format_date, format_time, get_locale, get_timezone, gettext
from markupsafe import Markup, escape

from . import clock, cookies


def at(when: datetime | None) -> str:
    """A moment inside a sentence: the time today, with the day otherwise."""
    if when is None:
        return gettext("an unknown time")
    zone = get_timezone()
    local, today = when.astimezone(zone), clock.now().astimezone(zone)
    time = _short_time(local.replace(second=0, microsecond=0, tzinfo=None), str(get_locale()))
    return time if local.date() == today.date() else f"{day(when)}, {time}"


@lru_cache(maxsize=1024)
def _short_time(local: datetime, locale: str) -> str:
    """Lists and polls say the same minutes again and again. Without its zone: one moment in two zones is
    equal, yet reads otherwise."""
    return babel.dates.format_time(local, "short", locale=locale)


def moment(when: datetime | None) -> str:
    return _time(when, at(when)) if when else ""


def clock_time(when: datetime | None) -> str:
    """Hours, minutes, seconds."""
    return _time(when, format_time(when, "medium")) if when else ""


def hour(when: datetime) -> str:
    """Hours and minutes, where the day is said elsewhere."""
    local = when.astimezone(get_timezone()).replace(second=0, microsecond=0, tzinfo=None)
    return _time(when, _short_time(local, str(get_locale())))


def day(when: date) -> str:
    """12 Nov, with the year when it is not this one. Takes a date too."""
    skeleton = "MMMd" if when.year == clock.now().year else "yMMMd"
    zone = get_timezone() if isinstance(when, datetime) else UTC
    noon = when if isinstance(when, datetime) else datetime(when.year, when.month, when.day, 12, tzinfo=UTC)
    return format_skeleton(skeleton, noon, tzinfo=zone, locale=get_locale())


def bounds(day: date) -> tuple[datetime, datetime]:
    """Where a day of the reader begins and ends."""
    zone: Any = get_timezone()
    midnights = (datetime.combine(one, time.min) for one in (day, day + timedelta(days=1)))
    start, end = (zone.localize(midnight).astimezone(UTC) for midnight in midnights)
    return start, end


def ago(when: datetime | None) -> str:
    """How long since, and counting."""
    return ago_teller()(when) if when else ""


def ago_teller() -> Callable[[datetime | None], str]:
    """`ago` for a page that is full of them: the reader's language and zone are asked for once."""
    now, locale, zone = clock.now(), str(get_locale()), str(get_timezone())
    catalogues = current_app.config["BABEL_TRANSLATION_DIRECTORIES"]

    def tell(when: datetime | None) -> str:
        if when is None:
            return ""
        text = _age((now - when).total_seconds(), locale, catalogues)
        return _element(when, text, "ago", _in_full(when, locale, zone))

    return tell


def until(when: datetime | None) -> str:
    """How long to go, counting down."""
    return _time(when, _left((when - clock.now()).total_seconds()), "until") if when else ""


def span(seconds: float) -> str:
    """`3 d 4 h`, `1 h 40 min`, `2 h`, `48 min`, `20 s`: the two largest units that say something."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if days:
        return gettext("%(d)s d %(h)s h", d=days, h=hours % 24) if hours % 24 else gettext("%(d)s d", d=days)
    if hours:
        rest = minutes % 60
        return gettext("%(h)s h %(min)s min", h=hours, min=rest) if rest else gettext("%(h)s h", h=hours)
    return gettext("%(min)s min", min=minutes) if minutes else gettext("%(s)s s", s=int(seconds))


def script_words() -> dict[str, Any]:
    """What app.js says; its sentences and ours are the same."""
    locale, catalogues = str(get_locale()), current_app.config["BABEL_TRANSLATION_DIRECTORIES"]
    return {
        "now": clock.now().timestamp(),
        "zone_cookie": cookies.full_name(cookies.TIME_ZONE),
        "locale": locale.replace("_", "-"),
        "just_now": gettext("just now"),
        "ago": {unit: _ago_words(unit, locale, catalogues) % {"n": "%s"} for unit in ("s", "min", "h", "d")},
        "span": {
            "s": gettext("%(s)s s", s="%s"),
            "min": gettext("%(min)s min", min="%s"),
            "h": gettext("%(h)s h", h="%s"),
        },
        "copied": gettext("Copied"),
        "ten_seconds": gettext("The code changes in 10 seconds."),
        "late": gettext("Not updated since %(time)s, retrying", time="%s"),
    }


@lru_cache(maxsize=64)
def _ago_words(unit: str, _locale: str, _catalogues: str) -> str:
    if unit == "now":
        return gettext("just now")
    if unit == "s":
        return gettext("%(n)s s ago")
    if unit == "min":
        return gettext("%(n)s min ago")
    return gettext("%(n)s h ago") if unit == "h" else gettext("%(n)s d ago")


def _age(seconds: float, locale: str, catalogues: str) -> str:
    """The same steps as `age` in app.js."""
    for unit, size, limit in (("now", 1, 5), ("s", 1, 60), ("min", 60, 3600), ("h", 3600, 172800)):
        if seconds < limit:
            return _ago_words(unit, locale, catalogues) % {"n": int(seconds // size)}
    return _ago_words("d", locale, catalogues) % {"n": int(seconds // 86400)}


def _left(seconds: float) -> str:
    """The same steps as `left` in app.js."""
    if seconds < 60:
        return gettext("%(s)s s", s=max(0, -int(-seconds // 1)))
    if seconds < 3600:
        return gettext("%(min)s min", min=-int(-seconds // 60))
    return gettext("%(h)s h", h=-int(-seconds // 3600))


def _time(when: datetime, text: str, kind: str = "at") -> Markup:
    return _element(when, text, kind, _in_full(when, str(get_locale()), str(get_timezone())))


def _element(when: datetime, text: str, kind: str, full: str) -> Markup:
    iso = when.astimezone(UTC).isoformat(timespec="seconds")
    # as Markup.format() does, at a fifth of its cost: lists are full of them
    html = f'<time datetime="{iso}" title="{escape(full)}" data-{kind}>{escape(text)}</time>'
    return Markup(html)  # noqa: S704


@lru_cache(maxsize=1024)
def _in_full(when: datetime, _locale: str, _zone: str) -> str:
    return f"{format_date(when, 'medium')}, {format_time(when, 'medium')}"
