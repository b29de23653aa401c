"""`make faults` takes minutes; that it runs, counts and fails is tried here by its shortest scenario."""

import json
import os
import subprocess
import sys

import pytest
from running_panel import ROOT

import faults.outcome as outcome

pytestmark = pytest.mark.sqlite


def test_it_prints_one_line_with_what_became_of_the_messages(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "faults", "R19"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=250,
    )
    said = json.loads(ran.stdout.splitlines()[-1])
    assert ran.returncode == 0, ran.stderr
    assert said["database"] == "sqlite"
    counts = ("accepted", "delivered", "double", "lost", "uncertain", "max_latency_seconds")
    assert [said[name] for name in counts] == [0, 0, 0, 0, 0, 0.0]
    assert said["scenarios"]["sqlite"]["R19"]["starts_after_a_logout"] == 0


@pytest.mark.parametrize("broken", [{"lost": 1}, {"double": 1}, {"figures": [outcome.Figure("gap", 16, 15)]}])
def test_a_promise_that_is_broken_is_a_miss(broken):
    assert outcome.Outcome(**broken).misses


def test_a_busy_machine_says_nothing_of_the_clock():
    late = outcome.Figure("late", value=1, limit=0.5, of_clock=True)
    assert outcome.Outcome(figures=[late], others=0.05).misses
    assert not outcome.Outcome(figures=[late], others=0.5).misses
