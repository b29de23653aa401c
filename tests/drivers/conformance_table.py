"""The end of a test run: which driver showed which ability. A plugin, so that it works with xdist too."""

from __future__ import annotations

from typing import Any

import pytest

PASSED, REFUSED, FAILED = "yes", "-", "FAIL"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ability(name): what of a driver this test of the conformance shows")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    cells: dict[tuple[str, str], set[str]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            noted = dict(getattr(report, "user_properties", ()))
            if "conformance" not in noted or (report.passed and report.when != "call") or report.skipped:
                continue
            ability, kind = noted["conformance"]
            verdict = REFUSED if "refused" in noted else PASSED
            cells.setdefault((ability, kind), set()).add(verdict if report.passed else FAILED)
    if not cells:
        return
    abilities = list(dict.fromkeys(ability for ability, _ in cells))
    kinds = sorted({kind for _, kind in cells})
    terminalreporter.section(f"drivers: {PASSED} = shown, {REFUSED} = refused with a sentence, as declared")
    terminalreporter.write_line(" " * 20 + "".join(f"{kind:>12}" for kind in kinds))
    for ability in sorted(abilities):
        row = "".join(f"{_cell(cells.get((ability, kind))):>12}" for kind in kinds)
        terminalreporter.write_line(f"{ability:<20}{row}")


def _cell(verdicts: set[str] | None) -> str:
    """One failure spoils the cell; one thing shown makes it."""
    if not verdicts:
        return "?"
    return next(verdict for verdict in (FAILED, PASSED, REFUSED) if verdict in verdicts)
