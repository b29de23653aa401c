"""`wa-admin doctor`: everything a message depends on, tried now, with what to do about what is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from .terminal import as_json, in_workspace, print_json, workspace_id

if TYPE_CHECKING:
    from ..models import Gateway, WhatsAppSession

LOADING_SECONDS = 60
CLOCK_MAY_DIFFER_BY = timedelta(minutes=2)
MARKS = {"ok": "ok  ", "warn": "warn", "bad": "bad "}


@dataclass(frozen=True)
class Finding:
    """`level`: ok, warn or bad. `advice` says what to do, and is empty when that is nothing."""

    level: str
    subject: str
    sentence: str
    advice: str = ""


@click.command()
@click.option("--gateway", "gateway_name", metavar="NAME", help="Try only this gateway: whether it fits.")
@click.option("--trial", is_flag=True, help="With --gateway: make a session there, and delete it again.")
@as_json
@click.pass_context
@in_workspace
def doctor(ctx: click.Context, gateway_name: str | None, trial: bool, as_json: bool) -> None:
    """Check settings, database, gateway, webhook, engine, disk and clock; or one gateway closely.

    The exit code is 1 when something is bad.
    """
    if trial and gateway_name is None:
        raise click.UsageError("--trial needs --gateway.")
    found = []
    for finding in examine() if gateway_name is None else examine_gateway(gateway_name, trial=trial):
        found.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        print_json([vars(finding) for finding in found])
    ctx.exit(1 if any(finding.level == "bad" for finding in found) else 0)


def examine() -> Iterator[Finding]:
    """One finding after the other; what rests on something broken is not asked."""
    yield from _settings()
    database = list(_database())
    yield from database
    if any(finding.level == "bad" for finding in database):
        return
    yield _keys()
    yield _clock()
    yield from _gateway()
    yield from _rest()
    yield _engine()


def examine_gateway(name: str, *, trial: bool) -> Iterator[Finding]:
    """Whether this gateway fits; no session is touched. Raises UnknownGateway."""
    from ..services import gateway_check, gateways

    levels = {gateway_check.OK: "ok", gateway_check.WARN: "warn", gateway_check.FAIL: "bad"}
    gateway = gateways.named(name)
    driver, access = gateways.driver(gateway), gateways.access(gateway)
    for one in gateway_check.look(driver, access, throw_away=trial):
        yield Finding(levels[one.level], one.name, one.sentence, one.next_step)


def _settings() -> Iterator[Finding]:
    from ..app import settings

    wanted = settings()
    yield Finding("ok", "Settings", f"read; data directory {wanted.data_dir}")
    mode = wanted.data_dir.stat().st_mode & 0o777
    if mode & 0o077:
        yield Finding(
            "bad",
            "Data directory",
            f"other users of this machine can read it (mode {mode:o})",
            f"chmod 700 {wanted.data_dir}",
        )
    if wanted.allow_insecure_http:
        yield Finding(
            "warn",
            "Passwords",
            "cross the network in the clear (WA_ALLOW_INSECURE_HTTP)",
            "Put an https proxy before the panel and set WA_PUBLIC_URL.",
        )


def _database() -> Iterator[Finding]:
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from flask import current_app

    from ..extensions import db

    with db.engine.connect() as connection:
        here = MigrationContext.configure(connection).get_current_revision()
        if connection.dialect.name == "sqlite":
            verdict = str(connection.exec_driver_sql("PRAGMA quick_check").scalar())
            if verdict != "ok":
                yield Finding("bad", "Database", f"is damaged: {verdict}", "Restore a backup.")
                return
    there = ScriptDirectory(current_app.config["MIGRATIONS"]).get_current_head()
    if here != there:
        yield Finding("bad", "Database", "is not up to date", "wa-admin db upgrade")
    else:
        yield Finding("ok", "Database", f"sound and up to date ({there})")


def _keys() -> Finding:
    from ..app import vault
    from ..services import keys

    if problem := keys.unreadable(vault()):
        return Finding(
            "bad",
            "Encryption keys",
            problem,
            "Bring back the keys there were, or restore a backup: it holds them.",
        )
    return Finding(
        "ok", "Encryption keys", f"open every stored secret; new ones are sealed with {vault().newest}"
    )


def _clock() -> Finding:
    """A clock that runs behind what was recorded has been set back, and waiting messages would not leave."""
    from sqlalchemy import func, select

    from .. import clock
    from ..extensions import db
    from ..models import Event

    newest = db.session.scalar(select(func.max(Event.at)))
    now = clock.now()
    if newest is not None and newest > now + CLOCK_MAY_DIFFER_BY:
        sentence = f"it is {now:%Y-%m-%d %H:%M} UTC here, but the timeline holds {newest:%Y-%m-%d %H:%M}"
        return Finding("bad", "Clock", sentence, "Set the clock; let NTP keep it.")
    return Finding("ok", "Clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _gateway() -> Iterator[Finding]:
    from time import perf_counter

    from .. import words
    from ..drivers.contract import GatewayError
    from ..services import gateways, roster

    first, sessions = gateways.ensure(), roster.listed(workspace_id())
    for known in [first, *(one for one in gateways.listed() if one.id != first.id)]:
        begin = perf_counter()
        try:
            version = gateways.driver(known).version()
        except GatewayError as error:
            cause, step = words.error_words(error.code)
            yield Finding("bad", "Gateway", f"{known.base_url}: {cause}", step)
            continue
        took_ms = round(1000 * (perf_counter() - begin))
        yield Finding(
            "ok", "Gateway", f"{known.kind} {version} at {known.base_url} answers in {took_ms} ms, key fits"
        )
        for wa_session in sessions:
            if wa_session.gateway_id == known.id:
                yield from _session(known, wa_session)


def _session(known: Gateway, wa_session: WhatsAppSession) -> Iterator[Finding]:
    from .. import words
    from ..drivers.contract import GatewayError, InstanceNotFound
    from ..services import gateway_hooks, gateways

    link = f"wa-admin sessions link {wa_session.session_id}"
    driver = gateways.driver(known)
    try:
        state = driver.state(wa_session.instance)
        webhook = driver.webhook(wa_session.instance) if "set_webhook" in driver.offers() else None
    except InstanceNotFound:
        yield Finding("warn", wa_session.name, "the gateway does not know it", link)
        return
    except GatewayError as error:
        cause, step = words.error_words(error.code)
        yield Finding("bad", wa_session.name, cause, step)
        return
    if state.status == "connected":
        yield Finding("ok", wa_session.name, "connected")
    else:
        yield Finding("warn", wa_session.name, f"not connected ({state.reason or state.word})", link)
    if "set_webhook" not in driver.offers():
        return
    if not gateway_hooks.is_in_order(webhook, gateways.hook_url(known), driver):
        sentence = "is not installed as it should be"
        yield Finding(
            "bad", "Webhook", sentence, "The scheduler mends it within a minute: start `wa-admin up`."
        )
    else:
        yield Finding("ok", "Webhook", f"installed. {gateway_hooks.proof(known)}")


def _rest() -> Iterator[Finding]:
    """What the health page knows: scheduler, outbox, events, disk, versions."""
    from ..services import health

    levels = {True: "ok", None: "warn", False: "bad"}
    asked_above = {"Database", "Gateway"}
    for check in health.look(workspace_id()):
        if check.name.partition(" ")[0] not in asked_above:
            level = levels[check.ok] if check.next_step or check.ok is not None else "ok"
            yield Finding(level, check.name, check.sentence, check.next_step)


def _engine() -> Finding:
    """In a process of its own, since the library may abort the one that loads it."""
    from ..app import settings

    wanted = settings()
    if wanted.gateway_url or wanted.engine == "simulator":
        return Finding(
            "ok", "Engine", "none is loaded here" if wanted.gateway_url else "simulator: nothing is sent"
        )
    load = [sys.executable, "-c", "import wa_admin.gateway.engines.neonize"]
    try:
        tried = subprocess.run(load, capture_output=True, text=True, timeout=LOADING_SECONDS)
    except subprocess.TimeoutExpired:
        return Finding(
            "bad",
            "Engine",
            f"neonize did not load within {LOADING_SECONDS} s",
            "Look at this machine's load.",
        )
    if tried.returncode == 0:
        return Finding("ok", "Engine", "neonize loads")
    said = (tried.stderr.strip().splitlines() or ["no reason given"])[-1]
    return Finding(
        "bad",
        "Engine",
        f"neonize does not load: {said[:200]}",
        "Run `make setup` again; it needs Linux, macOS or Windows on a 64-bit machine.",
    )


def _print(finding: Finding) -> None:
    colour = {"ok": "green", "warn": "yellow", "bad": "red"}[finding.level]
    click.echo(f"{click.style(MARKS[finding.level], fg=colour)}  {finding.subject}: {finding.sentence}")
    if finding.advice:
        click.echo(f"      > {finding.advice}")
