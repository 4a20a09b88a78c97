from collections.abc import Callable

import pytest
import typer

from standpipe import cli
from standpipe.errors import AccessDenied, CommandFailed, NotRunning

COMMANDS = [
    *(["up"], ["demo"], ["emit"], ["run"], ["firehose"], ["tail"], ["promql"], ["top"], ["ledger"], ["certs"]),
    *(["log-meta"], ["query"], ["sql"], ["version"]),
    *(["nozzle"], ["nozzle", "list"], ["nozzle", "new"], ["nozzle", "run"], ["nozzle", "status"]),
    *(["drain"], ["drain", "add"], ["drain", "list"], ["drain", "remove"], ["drain", "status"], ["drain", "test"]),
    *(["store"], ["store", "stats"], ["store", "verify"]),
    *(["token"], ["token", "create"], ["token", "list"], ["token", "revoke"]),
]


@pytest.fixture(autouse=True)
def _leave_logs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plumbing.logs.set_up_logs", lambda *_: None)


@pytest.fixture
def run_one(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception | BaseExceptionGroup], int]:
    """Run a command that ends with an error."""

    def run(error: Exception | BaseExceptionGroup) -> int:
        app = typer.Typer()

        @app.command()
        def fail() -> None:
            raise error

        monkeypatch.setattr(cli, "app", app)
        return cli.main([])

    return run


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*command, "--help"]) == 0
    assert f"Usage: standpipe {' '.join(command)}" in capsys.readouterr().out


def test_the_help_explains_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    assert "3  not running, or it does not answer" in capsys.readouterr().out


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert "Usage: standpipe" in capsys.readouterr().out


def test_the_demo_is_not_among_the_commands_shown(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--help"])

    assert "demo" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nope"], "standpipe: No such command 'nope'."),
        (["emit"], "standpipe emit: Missing option '--source'."),
        (["emit", "--source", "x", "--rate", "-1", "-"], "standpipe emit: Invalid value for '--rate': Input should be"),
        (["token", "create", "--scpe", "x"], "standpipe token create: No such option: --scpe"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)
    assert "--help`)" in line


@pytest.mark.parametrize(
    ("error", "code"),
    [(CommandFailed("it\nfailed"), 1), (NotRunning("it\nfailed"), 3), (AccessDenied("it\nfailed"), 4)],
)
def test_a_failure_is_one_line_and_its_exit_code(
    error: CommandFailed,
    code: int,
    run_one: Callable[[Exception | BaseExceptionGroup], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_one(error) == code
    assert capsys.readouterr().err == "standpipe: it failed\n"


def test_the_notes_of_a_failure_stand_below_it_as_they_are(
    run_one: Callable[[Exception | BaseExceptionGroup], int], capsys: pytest.CaptureFixture[str]
) -> None:
    error = CommandFailed("wrong")
    error.add_note("  a |\n    ^")
    assert run_one(error) == 1
    assert capsys.readouterr().err == "standpipe: wrong\n  a |\n    ^\n"


def test_a_failure_may_come_out_of_nurseries(run_one: Callable[[Exception | BaseExceptionGroup], int]) -> None:
    assert run_one(ExceptionGroup("outer", [ExceptionGroup("inner", [NotRunning("gone")])])) == 3


def test_an_interrupt_may_come_out_of_nurseries(run_one: Callable[[Exception | BaseExceptionGroup], int]) -> None:
    assert run_one(BaseExceptionGroup("outer", [KeyboardInterrupt()])) == 130


def test_an_exit_code_is_passed_on(run_one: Callable[[Exception | BaseExceptionGroup], int]) -> None:
    assert run_one(typer.Exit(7)) == 7


def test_a_fault_of_ours_is_not_hidden(run_one: Callable[[Exception | BaseExceptionGroup], int]) -> None:
    with pytest.raises(ZeroDivisionError):
        run_one(ZeroDivisionError())


def test_paragraphs_flow_and_examples_stay() -> None:
    docstring = """First [bold]
    line.

    Second
    paragraph.

        standpipe one
        standpipe two
    """
    assert cli.reflow(docstring) == "First \\[bold] line.\n\nSecond paragraph.\n\n    standpipe one\n    standpipe two"


def test_examples_right_behind_the_first_line_stay_too() -> None:
    def command() -> None:
        """First line.

        standpipe one
        standpipe two
        """

    assert cli.reflow(command.__doc__) == "First line.\n\n    standpipe one\n    standpipe two"
