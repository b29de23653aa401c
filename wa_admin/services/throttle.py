"""How often somebody may fail to sign in. Counted in the database, since there may be several workers."""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime, timedelta

from flask_babel import lazy_ngettext as _ln
from sqlalchemy import delete, func, insert, select

from ..crypto import digest
from ..extensions import db, writing
from ..models import LoginAttempt
from ..refusal import Refusal

FREE_TRIES = 5
MEMORY = timedelta(hours=1)
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(minutes=15)
ADDRESS_TRIES, ADDRESS_WINDOW = 30, timedelta(minutes=15)
WITH_PORT = re.compile(r"(?:([\d.]+)|\[(.+)\]):\d+")


class TooManyAttempts(Refusal):
    code = "too_many_attempts"
    status = 429

    def __init__(self, wait: timedelta) -> None:
        self.retry_after_seconds = max(1, round(wait.total_seconds()))
        minutes = -(-self.retry_after_seconds // 60)
        super().__init__(
            _ln(
                "Too many attempts. Try again in one minute.",
                "Too many attempts. Try again in %(num)s minutes.",
                minutes,
            )
        )


def enter(email: str, address: str, now: datetime) -> None:
    """Count one attempt before the password is looked at, so that many at once cannot slip through.

    Five are free within an hour, then each must wait, a minute at first and twice as long every time, at
    most 15 minutes. An address has 30 in 15 minutes. Raises TooManyAttempts, which is not counted.
    """
    account, place = _account(email), _place(address)
    with writing():
        wait = max(_account_wait(account, now), _address_wait(place, now))
        if wait > timedelta(0):
            raise TooManyAttempts(wait)
        db.session.execute(
            insert(LoginAttempt), [{"subject": account, "at": now}, {"subject": place, "at": now}]
        )


def forgive(email: str, address: str | None, now: datetime) -> None:
    """Forget the failures of the account, and the attempt just made from the address. Inside writing()."""
    db.session.execute(delete(LoginAttempt).where(LoginAttempt.subject == _account(email)))
    db.session.execute(delete(LoginAttempt).where(LoginAttempt.at < now - MEMORY))
    if address is not None:
        place = _place(address)
        last = select(func.max(LoginAttempt.id)).where(LoginAttempt.subject == place).scalar_subquery()
        db.session.execute(delete(LoginAttempt).where(LoginAttempt.id == last))


def _account_wait(subject: str, now: datetime) -> timedelta:
    count, last, _ = _attempts(subject, now - MEMORY)
    if last is None or count < FREE_TRIES:
        return timedelta(0)
    wait = min(FIRST_WAIT * 2 ** min(count - FREE_TRIES, 10), LONGEST_WAIT)
    return last + wait - now


def _address_wait(subject: str, now: datetime) -> timedelta:
    count, _, first = _attempts(subject, now - ADDRESS_WINDOW)
    if first is None or count < ADDRESS_TRIES:
        return timedelta(0)
    return first + ADDRESS_WINDOW - now


def _attempts(subject: str, since: datetime) -> tuple[int, datetime | None, datetime | None]:
    """(how many, the last, the first)"""
    at = LoginAttempt.at
    query = select(func.count(), func.max(at), func.min(at)).where(
        LoginAttempt.subject == subject, at > since
    )
    count, last, first = db.session.execute(query).one()
    return count, last, first


def _account(email: str) -> str:
    return digest(f"account:{email}")


def _place(address: str) -> str:
    """One IPv4 address, or the /64 that a household or server gets of IPv6; some proxies add a port."""
    try:
        ip = ipaddress.ip_address(WITH_PORT.sub(r"\1\2", address))
    except ValueError:
        return digest(f"address:{address}")
    if ip.version == 6 and ip.ipv4_mapped is None:
        return digest(f"address:{ipaddress.ip_network((ip, 64), strict=False)}")
    return digest(f"address:{getattr(ip, 'ipv4_mapped', None) or ip}")
