"""What the gateway can embed, one child process per session. Only the child imports an engine."""

from __future__ import annotations

from importlib import import_module

from wa_admin.gateway.engines.contract import Engine

ENGINES = {
    "neonize": "wa_admin.gateway.engines.neonize:NeonizeEngine",
    "simulator": "wa_admin.gateway.engines.simulator:SimulatorEngine",
}


def load(name: str) -> type[Engine]:
    """Import the engine of this name. Raises KeyError for an unknown one, ImportError without its library."""
    module, _, attribute = ENGINES[name].partition(":")
    engine: type[Engine] = getattr(import_module(module), attribute)
    return engine
