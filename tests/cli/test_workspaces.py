"""Commands work in one workspace, and tell nothing of another."""

import json

import click
import pytest
from two_workspaces import MARKS, THEIRS, furnish_other_workspace, snapshot

from wa_admin.models import Role
from wa_admin.services import api_keys, users, workspaces

# what each command is given where it asks for something: the other workspace's
GIVEN = {
    "session": "777", "gateway": "bundled", "email": "zebra@zebra.example", "role": "operator",
    "to": "081234567890", "text": "Halo", "ids": "777", "name": "zebra-key", "names": "777", "id": "777",
    "url": "https://a.example", "channel": "777",
}  # fmt: skip
# of the whole installation, or not about what a workspace has
NOT_OF_ONE = (
    "up", "scheduler", "gateway", "gateways", "db", "routes", "shell", "doctor", "sample", "workspaces",
    "drain", "import", "audit", "backup", "restore", "rotate-keys", "db-copy",
)  # fmt: skip


@pytest.fixture
def neighbours(app, make_session):
    make_session()
    furnish_other_workspace()


def commands(group, *path, but=NOT_OF_ONE):
    context = click.Context(group)
    for name in group.list_commands(context):
        if name in but or [*path, name] == ["users", "add"]:  # who has an account is let in here
            continue
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name, but=but)
        else:
            yield [*path, name], command


def _given(argument):
    told, any_of = GIVEN.get(argument.name, "zebra"), getattr(argument.type, "choices", [])
    return told if told in any_of or not any_of else any_of[0]


def call(path, command):
    """With every argument that must be given, and every session or key that may be."""
    told = [*path]
    for one in command.params:
        if isinstance(one, click.Argument):
            told.append("ours" if path[-1] == "add" and one.name == "name" else _given(one))
        elif one.name == "session":
            told += ["--session", "777"]
        elif one.name in ("yes", "from_stdin", "force"):
            told.append(one.opts[0])
    return told


def test_every_command_keeps_to_the_workspace_it_works_in(app, runner, neighbours):
    before, tried = snapshot(), []
    for path, command in commands(app.cli):
        arguments = call(path, command)
        result = runner.invoke(args=arguments, input="correct horse staple\n")
        told = result.output.lower()
        echoed = " ".join(arguments).lower()
        assert not [mark for mark in MARKS if mark in told and mark not in echoed], (arguments, told)
        assert "Zebra line" not in result.output and "6289990001777" not in result.output
        assert not result.exception or isinstance(result.exception, SystemExit), (arguments, result.exception)
        tried.append(path)
    assert len(tried) > 20
    after = snapshot()
    assert {name for name in after if after[name] != before[name]} == set()


def test_every_command_of_a_workspace_can_be_told_which(app):
    without = [
        path
        for path, command in commands(app.cli)
        if "--workspace" not in [opt for one in command.params for opt in one.opts]
    ]
    assert without == []


def test_a_command_works_in_the_workspace_it_is_told(run, neighbours):
    told = json.loads(run("sessions", "list", "--workspace", "zebra ltd", "--json").output)
    assert [one["id"] for one in told] == [THEIRS]
    assert "Support line" not in run("sessions", "list", "--workspace", "Zebra Ltd").output
    assert run("sessions", "status", "Support line", "--workspace", "Zebra Ltd").exit_code == 1


@pytest.mark.parametrize("name", ["nope", "", " ", "777", "zebra"])
def test_a_workspace_that_is_not_there_is_said(run, neighbours, name):
    result = run("users", "list", "--workspace", name)
    assert result.exit_code == 1 and "no such workspace" in result.output


def test_every_command_says_so_before_it_does_anything(app, run, neighbours):
    before, tried = snapshot(), []
    for path, command in commands(app.cli, but=()):
        if "--workspace" in [opt for one in command.params for opt in one.opts]:
            result = run(*call(path, command), "--workspace", "nope")
            assert result.exit_code == 1 and result.output == "Error: There is no such workspace.\n", path
            tried.append(path[0])
    assert snapshot() == before and {"alerts", "audit", "doctor", "gateways", "keys", "users"} <= {*tried}


def test_workspaces_are_added_listed_renamed_and_removed(run):
    assert run("workspaces", "add", "Toko Sari").exit_code == 0
    assert run("workspaces", "rename", "toko sari", "Toko Dewi").exit_code == 0
    listed = json.loads(run("workspaces", "list", "--json").output)
    assert listed[1] == {"name": "Toko Dewi", "sessions": 0, "people": 0}
    assert run("workspaces", "remove", "Toko Dewi", "--yes").exit_code == 0
    assert len(workspaces.listed()) == 1


def test_who_has_an_account_is_let_in_without_a_password(run):
    run("workspaces", "add", "Toko Sari")
    result = run("users", "add", "operator@example.com", "--role", "admin", "--workspace", "Toko Sari")
    assert result.exit_code == 0 and "has an account" in result.output
    assert users.find(workspaces.find("Toko Sari").id, "operator@example.com").role == Role.ADMIN


def test_an_operator_is_given_sessions(run, make_session):
    make_session("One"), make_session("Two")
    assert "works with: One." in run("users", "sessions", "operator@example.com", "One").output
    assert "One" in run("users", "list").output
    assert "works with: all." in run("users", "sessions", "operator@example.com", "--all").output
    assert run("users", "sessions", "operator@example.com").exit_code == 2


def test_an_invitation_is_a_link(run):
    result = run("users", "invite", "sari@toko.id")
    assert result.exit_code == 0 and "/join?token=" in result.stdout


def test_a_key_is_limited(run, make_session):
    make_session("One"), make_session("Two")
    raw = run("keys", "add", "crm", "--scope", "look", "--session", "One", "--days", "30").stdout.strip()
    identity = api_keys.check(raw)
    assert identity.scopes == {"look"} and not identity.sees_all
    (told,) = json.loads(run("keys", "list", "--json").output)
    assert told["sessions"] == ["One"] and told["scopes"] == ["look"] and told["expires_at"]
