"""The end of a test run: what was tried of the promises of security, and how much of it held.

A test marked `figure(name)` counts once, or as often as it says with record_property("counted", number).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
IN_A_BROWSER = "pages and journeys in a browser without a violation of the CSP"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "figure(name): what of the promises of security this test tries")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.path.parent.name == "browser":
        item.user_properties.append(("figure", IN_A_BROWSER))
    if mark := item.get_closest_marker("figure"):
        item.user_properties.append(("figure", mark.args[0]))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    figures: dict[str, list[int]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            noted = dict(getattr(report, "user_properties", ()))
            if "figure" not in noted or report.skipped or (report.passed and report.when != "call"):
                continue
            held_and_tried = figures.setdefault(noted["figure"], [0, 0])
            held_and_tried[0] += noted.get("counted", 1) if report.passed else 0
            held_and_tried[1] += noted.get("counted", 1)
    if not figures:
        return
    terminalreporter.section("security: held of tried")
    for name in sorted(figures):
        held, tried = figures[name]
        terminalreporter.write_line(f"{name:<68}{held:>6} of {tried}{'' if held == tried else '  FAIL'}")
    terminalreporter.write_line(f"ASVS 5.0.0, levels 1 and 2 (docs/asvs.md): {_items()}")
    terminalreporter.write_line("known vulnerabilities of what is shipped: make audit")


def _items() -> str:
    row = re.search(
        r"^\| ASVS 5\.0\.0 \| (\d+) \| (\d+) \| (\d+) \|$", (ROOT / "docs" / "asvs.md").read_text(), re.M
    )
    assert row
    return "{} met, {} not applicable, {} open".format(*row.groups())
