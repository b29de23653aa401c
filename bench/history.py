"""What a long history costs: the newest chats, a chat, its deepest page and a search, by the number of rows.

`python -m bench.history DIR [ROWS …]` seeds a database for each number, one half lines that came in, the
other messages of ours, and prints the CPU time of each look, in milliseconds, best of nine.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from wa_admin import create_app
from wa_admin.extensions import db, writing
from wa_admin.models import Chat, Contact, Line, Message, MessageStatus, WhatsAppSession
from wa_admin.services import chat_search, chats, conversation, gateways

ROWS = (1_000, 10_000, 100_000, 1_000_000)
SESSIONS = 10
CHATS = 100  # the first one holds a tenth of all there is
AT_A_TIME = 20_000
ROUNDS = 9
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ("pesanan", "kue", "lapis", "besok", "alamat", "transfer", "terima", "kasih", "kirim", "paket")
RARE = 997  # one line in so many says what hardly any does


def main(place: Path, counts: tuple[int, ...]) -> None:
    for count in counts:
        print(json.dumps({"rows": count, **measured(place / str(count), count)}), flush=True)


def measured(data_dir: Path, count: int) -> dict[str, float]:
    """Milliseconds of each look at a history of so many rows."""
    app = create_app({"WA_DATA_DIR": str(data_dir), "WA_ENGINE": "simulator"})
    with app.app_context():
        seed(app, count)
        looks = _looks()
        return {name: round(best(look), 3) for name, look in looks.items()}


def seed(app: Any, count: int) -> None:
    """A migrated database with so many rows, seeded straight into its tables; one that is there stays."""
    from flask_migrate import Migrate, upgrade

    Migrate(app, db, directory=app.config["MIGRATIONS"])
    upgrade()
    if db.session.scalar(select(func.count()).select_from(Chat)):
        return
    gateways.ensure()
    with writing():
        db.session.execute(insert(WhatsAppSession), [_session(number) for number in range(SESSIONS)])
        db.session.execute(insert(Contact), [_contact(number) for number in range(CHATS)])
        db.session.execute(insert(Chat), [_chat(number, count) for number in range(CHATS)])
    for model, rows in ((Line, _lines(count // 2)), (Message, _messages(count // 2))):
        while some := list(islice(rows, AT_A_TIME)):
            with writing():
                db.session.execute(insert(model), some)


def best(look: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        db.session.rollback()
        db.session.expunge_all()
        began = time.process_time()
        look()
        times.append(time.process_time() - began)
    return 1000 * min(times)


def _looks() -> dict[str, Callable[[], object]]:
    newest = {model: db.session.scalar(select(func.max(model.id))) or 0 for model in (Line, Message)}
    deep = f"{newest[Line] // 20 + 60}.{newest[Message] // 20 + 60}"
    return {
        "newest chats": lambda: chats.listed(1),
        "unread chats": lambda: chats.unread(1),
        "busiest chat": lambda: conversation.page(chats.find(1, 1)),
        "deep page": lambda: conversation.page(chats.find(1, 1), deep),
        "quiet chat": lambda: conversation.page(chats.find(1, CHATS)),
        "poll of a chat": lambda: conversation.version(1, 1),
        "search, common word": lambda: chat_search.look_for(1, "lapis"),
        "search, rare word": lambda: chat_search.look_for(1, "zirkon"),
        "search, nothing": lambda: chat_search.look_for(1, "xylophon"),
    }


def _session(number: int) -> dict[str, Any]:
    name = f"session-{number}"
    return {
        "workspace_id": 1,
        "gateway_id": 1,
        "name": name,
        "name_key": name,
        "session_id": name,
        "instance": name,
        "status_at": BEGIN,
        "created_at": BEGIN,
        "updated_at": BEGIN,
        "is_default": number == 0,
    }


def _address(number: int) -> str:
    return f"62811{number:08d}"


def _contact(number: int) -> dict[str, Any]:
    return {"workspace_id": 1, "phone": _address(number), "name": f"Person {number}", "created_at": BEGIN}


def _chat(number: int, count: int) -> dict[str, Any]:
    return {
        "workspace_id": 1,
        "session_id": number % SESSIONS + 1,
        "session_name": f"session-{number % SESSIONS}",
        "address": _address(number),
        "contact_id": number + 1,
        "unread_count": int(number % 7 == 0),
        "last_text": "pesanan",
        "last_at": BEGIN + timedelta(seconds=count, microseconds=number),
        "created_at": BEGIN,
    }


def _chat_of(number: int) -> int:
    """The first chat gets every tenth row, the others share the rest."""
    return 0 if number % 10 == 0 else 1 + number % (CHATS - 1)


def _lines(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        chat = _chat_of(number)
        words = " ".join(WORDS[(number + step * step) % len(WORDS)] for step in range(6))
        yield {
            "chat_id": chat + 1,
            "session_id": chat % SESSIONS + 1,
            "provider_id": f"3EB0{number:018X}",
            "from_me": False,
            "text": f"{words} {number}" + (" zirkon" if number % RARE == 0 else ""),
            "at": BEGIN + timedelta(seconds=2 * number),
        }


def _messages(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        chat = _chat_of(number)
        at = BEGIN + timedelta(seconds=2 * number + 1)
        yield {
            "workspace_id": 1,
            "session_id": chat % SESSIONS + 1,
            "session_name": f"session-{chat % SESSIONS}",
            "typed": _address(chat),
            "recipient": _address(chat),
            "body": f"Terima kasih, pesanan {number} sudah kami terima.",
            "source": "key:orders-api",
            "status": MessageStatus.READ,
            "provider_id": f"3EB1{number:018X}",
            "reference": f"bench{number}",
            "queued_at": at,
            "created_at": at,
            "status_at": at,
            "sent_at": at,
        }


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(map(int, sys.argv[2:])) or ROWS)
