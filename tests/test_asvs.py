"""docs/asvs.md tells no stories: it is complete, what it names is there, and it counts right. The figures of
docs/security.md are those of the code."""

import ast
import re
from datetime import timedelta
from functools import cache
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "asvs.md").read_text()
SECURITY = (ROOT / "docs" / "security.md").read_text()
STATES = ("met", "not applicable", "open")
ROW = re.compile(r"^\| (S?\d[\d.]*) \| (.+?) \| (met|not applicable|open) \| (.*) \|$", re.MULTILINE)
COUNTS = re.compile(r"^\| (controls|ASVS 5\.0\.0) \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE)
FIGURES = re.compile(r"^\| .+? \| (\d.*?) \| (`.+`) \|$", re.MULTILINE)

# of ASVS 5.0.0: how many requirements of level 1 or 2 each section has; they are its first ones, from 1 on
OF_CHAPTERS = {
    1: (2, 9, 11, 3, 2), 2: (3, 3, 4, 1), 3: (0, 2, 4, 6, 5, 0, 2), 4: (3, 1, 2, 4), 5: (1, 3, 2, 3),
    6: (3, 12, 4, 4, 5, 3, 0, 4), 7: (3, 4, 2, 5, 2, 2), 8: (2, 3, 1, 1), 9: (3, 4),
    10: (2, 2, 4, 11, 5, 2, 3), 11: (2, 3, 3, 4, 1, 1, 0), 12: (3, 2, 4), 13: (1, 5, 2, 5), 14: (2, 4, 3),
    15: (3, 3, 7, 0), 16: (1, 5, 4, 3, 3), 17: (1, 4, 2),
}  # fmt: skip
REQUIREMENTS = [
    f"{chapter}.{section}.{number}"
    for chapter, sections in OF_CHAPTERS.items()
    for section, count in enumerate(sections, 1)
    for number in range(1, count + 1)
]


def below(number):
    """The requirements that a row speaks of: one, or all of a section or chapter."""
    return [one for one in REQUIREMENTS if one == number or one.startswith(f"{number}.")]


@cache
def defined_in(path):
    return {
        node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)
    }


def test_every_requirement_of_levels_1_and_2_is_in_it_once_and_in_order():
    assert len(REQUIREMENTS) == 70 + 183  # as the standard counts itself
    told = [one for number, *_ in ROW.findall(TEXT) if number[0] != "S" for one in below(number)]
    assert told == REQUIREMENTS


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
    states = [
        (number[0] == "S", state)
        for number, _what, state, _told in ROW.findall(TEXT)
        for _ in below(number) or [number]
    ]
    for name, *counts in COUNTS.findall(TEXT):
        assert [int(one) for one in counts] == [states.count((name == "controls", one)) for one in STATES]
    assert len(COUNTS.findall(TEXT)) == 2


def test_the_figures_that_are_decided_are_those_of_the_code():
    rows = FIGURES.findall(SECURITY)
    for written, names in rows:
        values = []
        for name in re.findall(r"`([\w.]+)`", names):
            module, _, constant = name.rpartition(".")
            value = getattr(import_module(f"wa_admin.{module}"), constant)
            values.append(int(value.total_seconds()) if isinstance(value, timedelta) else int(value))
        assert [int(one) for one in re.findall(r"\d+", written)] == values, names
    assert len(rows) > 15
