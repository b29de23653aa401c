"""What make does on a machine that has little."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def make(tmp_path):
    """Run make beside a copy of what it sets up from, with this as its Python."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path)

    def run(*arguments, python=None):
        if python is not None:
            fake = tmp_path / "python"
            fake.write_text(f"#!/bin/sh\n{python}\n")
            fake.chmod(0o755)
            arguments += (f"PYTHON={fake}",)
        kept = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        return subprocess.run(
            ["make", *arguments], cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=60
        )

    return run


def test_a_python_that_is_too_old_is_refused_in_a_sentence(make):
    done = make("setup", python="exit 1")
    assert done.returncode != 0
    assert "wa-admin needs Python 3.11 or newer" in done.stdout


def test_a_python_without_venv_is_told_what_to_install(make):
    done = make("setup", python='case "$2" in *ensurepip*) exit 1;; esac')
    assert done.returncode != 0
    assert "apt install python3-venv" in done.stdout


def test_a_second_start_sets_nothing_up(make, tmp_path):
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "ready").touch()
    assert make("setup", "--question").returncode == 0


def test_new_dependencies_are_set_up_at_the_next_start(make, tmp_path):
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "ready").touch()
    later = (tmp_path / ".venv" / "ready").stat().st_mtime + 10
    os.utime(tmp_path / "requirements.lock", (later, later))
    assert make("setup", "--question").returncode == 1


@pytest.mark.parametrize(
    "target", ["setup", "run", "demo", "test", "lint", "bench", "fuzz", "audit", "sbom", "lock"]
)
def test_every_target_is_there(make, target):
    assert make("--dry-run", target).returncode == 0


def test_the_whole_check_is_one_command_that_asks_nobody():
    script = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "make lint test" in script
