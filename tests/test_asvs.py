"""docs/asvs.md tells no stories: what it names is there, and it counts right."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "asvs.md").read_text()
STATES = ("met", "not applicable", "open")
ROW = re.compile(r"^\| (S?\d[\d.]*) \| (.+?) \| (met|not applicable|open) \| (.*) \|$", re.MULTILINE)
COUNTS = re.compile(r"^\| (controls|ASVS 5\.0\.0) \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE)


@cache
def defined_in(path):
    return {
        node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)
    }


def test_every_test_and_file_it_names_is_there():
    named = [one.partition("::") for one in re.findall(r"`([\w./-]+\.\w+(?:::\w+)?)`", TEXT)]
    missing = [path for path, _, _ in named if not (ROOT / path).is_file()]
    missing += [
        name for path, _, name in named if name and path not in missing and name not in defined_in(path)
    ]
    assert len(named) > 150 and missing == []


def test_what_is_met_names_its_proof_and_what_is_not_says_why():
    controls = {number for number, *_ in ROW.findall(TEXT) if number.startswith("S")}
    assert controls == {f"S{number}" for number in range(1, 32)}
    for number, _what, state, told in ROW.findall(TEXT):
        assert told, number
        proofs = re.findall(r"`[\w./-]+\.\w+(?:::\w+)?`|\bS\d+\b", told)
        assert state != "met" or (proofs and {one for one in proofs if one[0] == "S"} <= controls), number
    assert len(ROW.findall(TEXT)) == len(re.findall(r"^\| S?\d", TEXT, re.MULTILINE))


def test_its_counts_are_right():
    states = [(number[0] == "S", state) for number, _what, state, _told in ROW.findall(TEXT)]
    for name, *counts in COUNTS.findall(TEXT):
        assert [int(one) for one in counts] == [states.count((name == "controls", one)) for one in STATES]
    assert len(COUNTS.findall(TEXT)) == 2
