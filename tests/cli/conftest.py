import pytest


@pytest.fixture
def run(runner):
    """`run("sessions", "list")`: the exit code and what was printed; a crash is raised here."""

    def invoke(*arguments, stdin=None):
        result = runner.invoke(args=list(arguments), input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke
