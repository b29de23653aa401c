"""Asks gateways how their sessions are, a few at once, and keeps what they say.

Threads do nothing but ask; what they hear is stored by the thread that began, many sessions in one go. One
session that does not answer is one session: its gateway is called lost only when it says nothing at all.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy import select, update

from .. import clock
from ..drivers.contract import (
    BadKey,
    Driver,
    GatewayError,
    InstanceNotFound,
    State,
    TimedOut,
    Unreachable,
    Unsupported,
)
from ..drivers.deadline import deadline
from ..extensions import db, end_reading, writing
from ..models import Gateway, Reason, Status, WhatsAppSession
from . import gateway_hooks, gateways, links, status

_log = logging.getLogger(__name__)

AT_ONCE = 8
STORED_AT_ONCE = 50
PATIENCE_SECONDS = 10.0  # for one session
# an event says more than a question, for a short while: two checks must fit into what `watch.age` allows
FRESH = timedelta(seconds=10)
HOOK_WORKS = timedelta(seconds=30)  # of a session that told something since
HOOKS_AT_ONCE = 100  # webhooks looked at in one go; of more, others come next time


@dataclass
class Visit:
    """One gateway's turn; `lost` is why it is called lost, once it is."""

    gateway: Gateway
    driver: Driver
    hook_url: str
    lost: GatewayError | None = None
    is_there: bool | None = None  # in spite of a session that was silent
    hooks_left: int = -1  # webhooks that are not known to be in order; -1 until they are counted
    lock: threading.Lock = field(default_factory=threading.Lock)

    def has_all_hooks(self) -> bool:
        """Whether every session reports to where it should now, while the gateway's secret changes."""
        is_changing = self.gateway.sealed_old_hook_secret is not None
        is_known = self.gateway.hooks_settled_at is not None or self.hooks_left == 0
        return is_changing and is_known and "set_webhook" in self.driver.offers()

    def is_lost(self) -> bool:
        """After a session did not answer: asks the gateway itself, once."""
        with self.lock:
            if self.is_there is None:
                try:
                    with deadline(PATIENCE_SECONDS):
                        self.driver.version()
                    self.is_there = True
                except (Unreachable, TimedOut, BadKey) as error:
                    self.lost, self.is_there = error, False
                except GatewayError:
                    self.is_there = True
            return not self.is_there


@dataclass(frozen=True)
class Greeting:
    version: str
    latency_ms: int
    states: Mapping[str, State]


@dataclass(frozen=True)
class Question:
    visit: Visit
    id: int
    instance: str
    rev: int
    is_linked: bool
    wants_state: bool
    wants_hook: bool


@dataclass(frozen=True)
class Answer:
    question: Question
    state: State | None = None
    hook: str | None = None  # what became of its webhook; None when that was not looked at
    is_heard: bool = False  # by an event that came before


def look(found: Iterable[Gateway]) -> None:
    """Ask these gateways for the live state of their sessions, and mend lost webhooks."""
    with ThreadPoolExecutor(AT_ONCE, "checkup") as threads:
        visits = [_visit(one) for one in found]
        end_reading()
        questions: list[Question] = []
        for visit, told in zip(visits, threads.map(_greet, visits), strict=True):
            questions += _questions(visit, told) if told else []
        end_reading()
        random.shuffle(questions)  # no gateway, and no session, is asked at the same moment every time
        asked = [threads.submit(_ask, question) for question in questions]
        answers = (future.result() for future in as_completed(asked))
        while batch := list(islice(answers, STORED_AT_ONCE)):
            _keep(batch)
    for visit in visits:
        if visit.lost is not None:
            gateways.failed(visit.gateway.id, visit.lost, clock.now())
        elif visit.has_all_hooks():
            gateway_hooks.settle(visit.gateway.id, visit.driver, clock.now())


def _visit(gateway: Gateway) -> Visit:
    gateway_hooks.give_tokens(gateway)
    return Visit(gateway, gateways.driver(gateway), gateways.hook_url(gateway))


def _greet(visit: Visit) -> Greeting | None:
    """On a thread. None when the gateway has nothing to say."""
    try:
        began = time.monotonic()
        version = _twice(visit.driver.version)
        latency_ms = int(1000 * (time.monotonic() - began))
        return Greeting(version, latency_ms, _listed(visit.driver))
    except (Unreachable, TimedOut, BadKey) as error:
        visit.lost = error
    except GatewayError as error:
        _log.warning("gateway: %s: %s", error.code, error.detail)
    return None


def _listed(driver: Driver) -> Mapping[str, State]:
    """Without a list that can be read, each session is asked for."""
    try:
        return driver.states() or {}
    except GatewayError as error:
        _log.info("no list of sessions: %s: %s", error.code, error.detail)
        return {}


def _twice(ask: Callable[[], str]) -> str:
    """A gateway that is just restarting deserves a second chance before it is called unreachable."""
    try:
        return ask()
    except Unreachable:
        time.sleep(1)
        return ask()


def _questions(visit: Visit, told: Greeting) -> list[Question]:
    """What is left to ask, once what is known without asking is kept."""
    now = clock.now()
    gateways.answered(visit.gateway.id, told.latency_ms, told.version, now, visit.driver.offers())
    sessions = gateway_hooks.linked_ever(visit.gateway.id)
    hooked = _whose_hooks(visit, sessions, now)
    visit.hooks_left = sum(one.is_active for one in sessions)
    known: list[Answer] = []
    questions: list[Question] = []
    for wa_session in sessions:
        if not wa_session.is_active:
            _keep_off(visit, wa_session)
            continue
        is_fresh = _is_fresh(wa_session, now)
        state = _as_it_is(wa_session) if is_fresh else _listed_state(wa_session, told.states)
        is_polled = not visit.driver.tells_codes and _is_linking(wa_session)
        question = Question(
            visit,
            wa_session.id,
            wa_session.instance,
            wa_session.rev,
            is_linked=wa_session.linked_at is not None,
            wants_state=state is None and not is_polled,
            wants_hook=wa_session.id in hooked,
        )
        if state is not None:
            known.append(Answer(question, state, is_heard=is_fresh))
        if question.wants_state or question.wants_hook:
            questions.append(question)
    _keep(known)
    return questions


def _as_it_is(wa_session: WhatsAppSession) -> State:
    return State(wa_session.status, None, wa_session.gateway_word)


def _listed_state(wa_session: WhatsAppSession, told: Mapping[str, State]) -> State | None:
    """What a list says of a session that is not connected is not the whole story."""
    state = told.get(wa_session.instance)
    return state if state and state.status == Status.CONNECTED else None


def _is_fresh(wa_session: WhatsAppSession, now: datetime, within: timedelta = FRESH) -> bool:
    heard_at = wa_session.last_event_at
    is_steady = wa_session.reason is None and wa_session.away_since is None
    is_well = wa_session.status == Status.CONNECTED and is_steady
    return is_well and heard_at is not None and now - heard_at < within


def _whose_hooks(visit: Visit, sessions: list[WhatsAppSession], now: datetime) -> set[int]:
    """The sessions whose webhook is looked at: all until they are told a new secret, else some that were
    silent."""
    if "set_webhook" not in visit.driver.offers():
        return set()
    active = [one for one in sessions if one.is_active]
    if visit.gateway.sealed_old_hook_secret and visit.gateway.hooks_settled_at is None:
        return {one.id for one in active}
    silent = [one.id for one in active if not _is_fresh(one, now, HOOK_WORKS)]
    return set(random.sample(silent, min(len(silent), HOOKS_AT_ONCE)))


def _is_linking(wa_session: WhatsAppSession) -> bool:
    is_under_way = wa_session.status in (Status.CONNECTING, Status.QR_PENDING)
    return is_under_way and wa_session.linked_at is None


def _ask(question: Question) -> Answer:
    """On a thread."""
    visit, state = question.visit, None
    if visit.lost is not None:
        return Answer(question)
    try:
        with deadline(PATIENCE_SECONDS):
            if question.wants_state:
                state = _state(visit.driver, question)
            if question.wants_hook:
                hook = gateway_hooks.put_in_order(visit.driver, question.instance, visit.hook_url)
                return Answer(question, state, hook)
    except GatewayError as error:
        # one odd answer proves nothing; the age of the last good one goes on telling
        _log.warning("session %s: %s: %s", question.id, error.code, error.detail)
        if isinstance(error, Unreachable | TimedOut | BadKey):
            visit.is_lost()
    return Answer(question, state)


def _state(driver: Driver, question: Question) -> State:
    try:
        return driver.state(question.instance)
    except InstanceNotFound:
        return State(Status.DISCONNECTED, lost(question.is_linked), "not found")


def lost(is_linked: bool) -> str | None:
    """The gateway does not know the session any more: its login is gone with it."""
    return Reason.LOGGED_OUT if is_linked else None


def _keep(answers: list[Answer]) -> None:
    """Store what was heard; an event that came while we asked is newer than the answer."""
    told = {answer.question.id: answer for answer in answers if answer.state or answer.hook}
    if not told:
        return
    now = clock.now()
    confirmed = [one for one in told.values() if one.state and one.state.status is not None]
    by_event = [one.question.id for one in confirmed if one.is_heard]
    by_word = [one.question.id for one in confirmed if not one.is_heard]
    with writing():
        rows = select(WhatsAppSession).where(WhatsAppSession.id.in_(told))
        for current in db.session.scalars(rows.with_for_update(of=WhatsAppSession)).all():
            answer = told[current.id]
            if answer.state is not None and current.rev == answer.question.rev:
                status.heard(current, answer.state, actor="check", now=now)
            if answer.hook == gateway_hooks.INSTALLED:
                gateway_hooks.note_installed(current, actor="check")
        for ids, at in ((by_word, now), (by_event, WhatsAppSession.last_event_at)):
            if ids:
                seen = update(WhatsAppSession).where(WhatsAppSession.id.in_(ids))
                db.session.execute(seen.values(checked_at=at))
    for answer in told.values():
        if answer.hook is not None:
            answer.question.visit.hooks_left -= 1


def _keep_off(visit: Visit, wa_session: WhatsAppSession) -> None:
    """It was switched off while the gateway could not be told."""
    if wa_session.status == Status.DISCONNECTED and wa_session.reason != Reason.GATEWAY_UNREACHABLE:
        return
    try:
        links.disconnect(wa_session.workspace_id, wa_session.id, actor="check")
    except gateways.GatewayRefused as refused:
        if not isinstance(refused.error, Unsupported):
            _log.warning("session %s: %s", wa_session.id, refused.code)
            if isinstance(refused.error, Unreachable | TimedOut | BadKey):
                visit.is_lost()
            return
        # it goes offline only by unlinking, so it stays there; from here nothing is sent
        with writing():
            current = db.session.get_one(WhatsAppSession, wa_session.id)
            status.move(current, Status.DISCONNECTED, Reason.STOPPED, actor="check", now=clock.now())
