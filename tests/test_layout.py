"""The rules that no tool knows: who may import whom, what a template may hold, and that locks are fresh."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "wa_admin"
TEMPLATES = [*(ROOT / "templates").rglob("*.html"), *(PACKAGE / "gateway").rglob("*.html")]

# room: what of ours it may not import
FORBIDDEN = {
    "models": ("api", "app", "blueprints", "drivers", "forms", "gateway", "services", "words"),
    "drivers": ("api", "app", "blueprints", "extensions", "forms", "gateway", "models", "services", "words"),
    "services": ("api", "blueprints", "forms", "gateway", "scheduler", "whatsapp"),
    "forms": ("blueprints", "drivers", "gateway"),
    "api": ("blueprints", "gateway", "scheduler", "whatsapp"),
    "blueprints": ("gateway", "scheduler", "whatsapp"),
}
# what every process reads settings, seals secrets and logs with; they import nothing of ours
SHARED_BY_ALL = ("config", "crypto", "log")
# processes that must stay small, and what they are made of
STANDARD_LIBRARY_ONLY = ("config", "log", "processes", "tether", "clock", "refusal")


def imports(path, top_level_only=False):
    """Full names of the modules that a file imports."""
    tree = ast.parse(path.read_text())
    here = (*path.relative_to(ROOT).with_suffix("").parts,)
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: len(here) - node.level]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_of(module, package):
    return module == package or module.startswith(f"{package}.")


def in_room(room):
    return sorted((PACKAGE / room).rglob("*.py"))


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_follow_the_arrows(room):
    wrong = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in in_room(room)
        for module in imports(path)
        for other in FORBIDDEN[room]
        if is_of(module, f"wa_admin.{other}")
    ]
    assert wrong == []


def test_the_gateway_imports_nothing_of_the_panel():
    ours = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in in_room("gateway")
        for module in imports(path)
        if is_of(module, "wa_admin") and module != "wa_admin"
        if not any(is_of(module, f"wa_admin.{name}") for name in ("gateway", *SHARED_BY_ALL))
    ]
    assert ours == []


@pytest.mark.parametrize("name", SHARED_BY_ALL)
def test_what_all_processes_share_imports_nothing_of_ours(name):
    assert [m for m in imports(PACKAGE / f"{name}.py") if is_of(m, "wa_admin")] == []


def test_nothing_of_the_panel_imports_the_gateway():
    outside = [path for path in PACKAGE.rglob("*.py") if "gateway" not in path.relative_to(PACKAGE).parts[:1]]
    assert [p.name for p in outside for m in imports(p) if is_of(m, "wa_admin.gateway")] == []


def test_drivers_know_neither_flask_nor_the_database():
    known = [m for path in in_room("drivers") for m in imports(path)]
    assert [module for module in known if module.split(".")[0] in ("flask", "sqlalchemy", "werkzeug")] == []


@pytest.mark.parametrize("door", ["api", "blueprints", "forms"])
def test_doors_see_of_drivers_only_the_contract(door):
    seen = [m for path in in_room(door) for m in imports(path) if is_of(m, "wa_admin.drivers")]
    assert [m for m in seen if not is_of(m, "wa_admin.drivers.contract") and m != "wa_admin.drivers"] == []


def test_only_the_neonize_engine_imports_neonize():
    importers = {path.name for path in PACKAGE.rglob("*.py") for m in imports(path) if is_of(m, "neonize")}
    assert all(name.startswith("neonize") for name in importers)


def test_views_leave_queries_and_commits_to_services():
    queries = re.compile(r"\bdb\.session\b|\bselect\(|\bwriting\(")
    assert [path.name for path in in_room("blueprints") if queries.search(path.read_text())] == []


@pytest.mark.parametrize("name", STANDARD_LIBRARY_ONLY)
def test_small_modules_load_only_the_standard_library(name):
    from sys import stdlib_module_names

    tops = imports(PACKAGE / f"{name}.py", top_level_only=True)
    foreign = [module for module in tops if module.split(".")[0] not in stdlib_module_names]
    assert [
        m
        for m in foreign
        if m.removeprefix("wa_admin.").split(".")[0] not in (*STANDARD_LIBRARY_ONLY, "wa_admin")
    ] == []


def test_files_are_named_after_things():
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "base"}
    assert [path.name for path in PACKAGE.rglob("*.py") if path.stem in vague] == []


FORBIDDEN_IN_TEMPLATES = {
    "an inline script": r"<script(?![^>]*\bsrc=)[^>]*>",
    "an inline style": r"<style\b|\sstyle\s*=",
    "an event handler": r"\son[a-z]+\s*=",
    "hx-on, which needs eval": r"\bhx-on\b",
    "a js: value, which needs eval": r"[\"'](?:js|javascript):",
    "a trigger filter, which needs eval": r"hx-trigger\s*=\s*(\"[^\"]*\[|'[^']*\[)",
    "unescaped data": r"(?<!['\"])\|\s*safe\b|autoescape\s+false",
    "something of a third party": r"(?:\bsrc|<link[^>]*\bhref|\baction)\s*=\s*[\"']?(?:https?:)?//",
}


@pytest.mark.parametrize("what", FORBIDDEN_IN_TEMPLATES)
def test_no_template_holds(what):
    pattern = re.compile(FORBIDDEN_IN_TEMPLATES[what], re.IGNORECASE)
    found = []
    for path in TEMPLATES:
        text = re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert found == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_hold_what_the_project_asks_for(lock):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    wanted = [*project["project"]["dependencies"], *groups["build"]]
    if lock == "requirements-dev.lock":
        wanted += [one for one in groups["dev"] if isinstance(one, str)]
    pinned = set(re.findall(r"^([\w.-]+==[^\s;]+)", (ROOT / lock).read_text(), re.MULTILINE))
    plain = [
        re.sub(r"\[[\w,-]+\]", "", one) for one in wanted
    ]  # what an extra brings is a package of its own there
    assert [one for one in plain if one not in pinned] == [], "run `make lock`"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_a_hash_and_no_address(lock):
    text = (ROOT / lock).read_text()
    packages = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in package for package in packages)
    assert "://" not in text
