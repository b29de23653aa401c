"""docs/promises.md tells no stories: every promise is in it once, and what it names is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "promises.md").read_text()
ROW = re.compile(r"^\| (R\d+) \| (.+?) \| (.*?) \| (.+) \|$", re.MULTILINE)
NONE_HERE = {"R12"}  # about reminders


def test_each_promise_is_there_once_with_its_proof():
    rows = ROW.findall(TEXT)
    assert [number for number, *_ in rows] == [f"R{number}" for number in range(1, 26)]
    assert {number for number, _, proof, _ in rows if "`" not in proof} == NONE_HERE


def test_every_test_it_names_is_there():
    missing = []
    for path, name in re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", TEXT):
        tree = ast.parse((ROOT / path).read_text())
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        missing += [f"{path}::{name}"] if name and name not in names else []
    assert missing == []


def test_the_scenarios_are_those_of_the_fault_run():
    from faults.__main__ import SCENARIOS

    assert {number for number, _, proof, _ in ROW.findall(TEXT) if proof.startswith("faults;")} == set(
        SCENARIOS
    )
