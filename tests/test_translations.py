"""Every sentence is said in every language, with the same facts in it."""

from __future__ import annotations

import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[1]
TRANSLATIONS = ROOT / "wa_admin" / "translations"
LANGUAGES = ["id", "pt_BR"]
MARKER = re.compile(r"%\(\w+\)[sd]|%s|%%|<[^>]+>")
REPAIR = "run `make translations` and fill in what is missing"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """All sentences that the code and the templates say now."""
    pot = tmp_path_factory.mktemp("translations") / "messages.pot"
    extract = ["extract", "-F", "pyproject.toml", "-k", "_l", "-k", "lazy_gettext", "-o", str(pot), "."]
    command = [sys.executable, "-m", "babel.messages.frontend", "-q", *extract]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return read(pot)


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def translated(language: str) -> Catalog:
    return read(TRANSLATIONS / language / "LC_MESSAGES" / "messages.po")


def test_no_sentence_is_missing_and_none_is_left_over(source, translated):
    wanted, there = set(ids(source)), set(ids(translated))
    assert (wanted - there, there - wanted) == (set(), set()), REPAIR


def test_every_sentence_is_translated(translated):
    assert [one.id for one in messages(translated) if one.fuzzy or not all(texts(one.string))] == [], REPAIR


def test_a_translation_holds_the_facts_and_marks_of_the_sentence(translated):
    odd = [
        (one.id, text)
        for one in messages(translated)
        for text in texts(one.string)
        if sorted(MARKER.findall(text)) != sorted(MARKER.findall(texts(one.id)[-1]))
    ]
    assert odd == []


def test_what_is_compiled_is_what_is_written(language, translated):
    compiled = BytesIO()
    write_mo(compiled, translated)
    path = TRANSLATIONS / language / "LC_MESSAGES" / "messages.mo"
    assert path.read_bytes() == compiled.getvalue(), REPAIR


def read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file)


def messages(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id]


def ids(catalog: Catalog) -> list[str]:
    return [str(one.id) for one in messages(catalog)]


def texts(said: str | list[str] | tuple[str, ...] | None) -> list[str]:
    return [said] if isinstance(said, str) else list(said or [""])
