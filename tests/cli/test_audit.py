import csv
import io
import json

import pytest

from wa_admin.extensions import db, writing
from wa_admin.services import api_keys, audit


@pytest.fixture
def entry(app):
    """The latest entry of a log."""
    api_keys.issue(1, "orders-api", actor="cli")
    return audit.page(1, limit=1).items[0]


def test_what_was_done_is_listed(run, entry):
    assert "key_added" in run("audit", "list").output
    [told] = json.loads(run("audit", "list", "--action", "key_added", "--json").output)
    assert (told["object"], told["hash"]) == ("orders-api", entry.hash)


def test_only_what_somebody_did(run, entry):
    assert "key_added" not in run("audit", "list", "--actor", "nobody@example.com").output


def test_a_whole_log_verifies_and_says_its_hash(run, entry):
    result = run("audit", "verify")
    assert result.exit_code == 0 and entry.hash in result.output
    assert run("audit", "verify", "--known", entry.hash).exit_code == 0


@pytest.mark.sqlite  # where a trigger is dropped like this
def test_a_touched_log_does_not(run, entry):
    with writing():
        db.session.execute(db.text("DROP TRIGGER audit_entry_no_update"))
        db.session.execute(db.text(f"UPDATE audit_entry SET actor = 'x' WHERE id = {entry.id}"))
    result = run("audit", "verify")
    assert result.exit_code == 1 and f"Entry {entry.id} does not fit" in result.output


def test_a_hash_that_is_gone_is_said(run, entry):
    result = run("audit", "verify", "--known", "f" * 64)
    assert result.exit_code == 1 and "cut off" in result.output


def test_it_is_exported(run, entry):
    rows = list(csv.DictReader(io.StringIO(run("audit", "export").stdout)))
    assert rows[-1]["action"] == "key_added" and rows[-1]["hash"] == entry.hash
