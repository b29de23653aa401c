"""The wheel alone, in an environment of its own and from an empty directory, brings up a panel."""

import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from running_up import ROOT, Up

HERE = Path(sysconfig.get_path("purelib"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    dist = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (wheel,) = dist.glob("wa_admin-*.whl")
    return wheel


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A new environment with the wheel; what it depends on is looked up in ours, so nothing is downloaded."""
    venv = tmp_path_factory.mktemp("wheel") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=60)
    python = venv / "bin" / "python"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*pip, str(wheel)], check=True, timeout=100)
    (site_packages,) = venv.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(f"{HERE}\n")  # our editable .pth in there is not followed
    return venv / "bin"


@pytest.fixture(scope="module")
def up(environment, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    up = Up(empty / "data", empty.parent / "wheel.log", [str(environment / "wa-admin"), "up"], empty)
    yield up.start()
    up.end()


@pytest.mark.parametrize("folder", ["templates", "static", "migrations"])
def test_the_folders_of_the_root_are_inside_the_package(names, folder):
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if _is_ours(path)}
    assert {f"wa_admin/{file}" for file in files} - names == set()


def test_translations_are_inside(names):
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "wa_admin").rglob("*.mo")}
    assert files - names == set()


def test_nothing_else_is_inside(names):
    assert {name for name in names if not name.startswith(("wa_admin/", "wa_admin-"))} == set()
    assert not [name for name in names if "__pycache__" in name or name.endswith((".db", ".key"))]


def test_it_is_the_wheel_that_runs(environment, tmp_path):
    say = "import wa_admin; print(wa_admin.__file__)"
    done = subprocess.run(
        [environment / "python", "-c", say], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(environment.parent))


def test_it_serves_a_page_with_its_style_and_script(up):
    (link,) = re.findall(r"http://127\.0\.0\.1:\d+(/setup\?token=\S+)", up.said())
    status, page = up.get(link)
    assert status == 200
    files = re.findall(r"(?:href|src)=\"(/static/[^\"]+\.(?:css|js)[^\"]*)\"", page)
    assert files
    assert {up.get(file)[0] for file in files} == {200}


def _is_ours(path):
    return path.is_file() and "__pycache__" not in path.parts
