"""The child of one session: commands in on stdin, events and replies out, one JSON object a line.

    {"id": 7, "cmd": "send_text", "to": "62812...", "text": "..."}
    {"reply": 7, "ok": {...}}  or  {"reply": 7, "error": {"kind", "message"}}

Sends run one after another on a thread of their own, the rest beside them. End of stdin means that the
parent is gone, and ends the process at once: engines may hold threads that nothing else ends.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from wa_admin.gateway.engines import load
from wa_admin.gateway.engines.contract import Engine, EngineError

SENDS = ("send_text", "send_media")


def main() -> None:
    options = _options()
    lines = Lines(_take_stdout())
    try:
        engine = load(options.engine)(
            options.store, lines.write, {"speed": float(os.environ.get("WA_SIMULATOR_SPEED", "1"))}
        )
    except Exception as error:
        lines.say("error", f"engine {options.engine} cannot start: {type(error).__name__}: {error}")
        os._exit(3)
    serve(engine, sys.stdin.buffer, lines)
    os._exit(0)


class Lines:
    """What goes to the parent; may be written from any thread."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def write(self, message: dict[str, Any]) -> None:
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            with self._lock:
                self._out.write(line)
                self._out.flush()
        except OSError:
            os._exit(0)  # the parent is gone

    def say(self, level: str, text: str) -> None:
        self.write({"event": "log", "level": level, "text": text})


def serve(engine: Engine, commands: BinaryIO, lines: Lines) -> None:
    """Obey until the parent closes the pipe."""
    sends: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_send_in_turn, args=(engine, sends, lines), daemon=True).start()
    for line in commands:
        command = json.loads(line)
        if command["cmd"] in SENDS:
            sends.put(command)
        else:
            threading.Thread(target=_answer, args=(engine, command, lines), daemon=True).start()


def _send_in_turn(engine: Engine, sends: queue.SimpleQueue[dict[str, Any]], lines: Lines) -> None:
    while True:
        _answer(engine, sends.get(), lines)


def _answer(engine: Engine, command: dict[str, Any], lines: Lines) -> None:
    number, name = command.pop("id"), command.pop("cmd")
    try:
        lines.write({"reply": number, "ok": COMMANDS[name](engine, command)})
    except EngineError as error:
        lines.write({"reply": number, "error": {"kind": error.kind, "message": str(error)}})
    except Exception as error:
        # an engine that fails in a way it does not name may have sent: only "timeout" admits that
        lines.say("error", f"{name} failed: {type(error).__name__}")
        message = f"the engine failed: {type(error).__name__}"
        lines.write({"reply": number, "error": {"kind": "timeout", "message": message}})


def _send_media(engine: Engine, args: dict[str, Any]) -> Any:
    return engine.send_media(**(args | {"data": base64.b64decode(args["data"])}))


def _download(engine: Engine, args: dict[str, Any]) -> Any:
    return base64.b64encode(engine.download(**args)).decode()


COMMANDS: dict[str, Callable[[Engine, dict[str, Any]], Any]] = {
    "start": lambda engine, args: engine.start(),
    "pair": lambda engine, args: engine.pair(**args),
    "send_text": lambda engine, args: engine.send_text(**args),
    "send_media": _send_media,
    "check": lambda engine, args: engine.check(**args),
    "download": _download,
    "group_name": lambda engine, args: engine.group_name(**args),
    "logout": lambda engine, args: engine.logout(),
    "stop": lambda engine, args: engine.stop(),
    "simulate": lambda engine, args: engine.simulate(**args),
}


def _take_stdout() -> BinaryIO:
    """Keep stdout for ourselves: engines print numbers and pairing codes to fd 1 and 2."""
    private = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return private


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="wa_admin.gateway.child")
    parser.add_argument("--engine", required=True)
    parser.add_argument("--store", required=True, type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
