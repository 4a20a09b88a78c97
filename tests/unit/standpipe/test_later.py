"""Commands that are not imported before they are called, and look as if they were."""

import inspect
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer

from standpipe.cli import app
from standpipe.later import Later

_LISTED = """
import sys
from standpipe.cli import main
code = main({argv!r})
heavy = ("syslog_adapter", "nozzles", "structlog", "grpc", "httpx", "trio", "envelope", "standpipe.commands.")
print(*[name for name in sys.modules if name.startswith(heavy)], file=sys.stderr)
sys.exit(code)
"""


def laters() -> Iterator[tuple[str, Later]]:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]  # the app is a group
        for below, each in getattr(command, "commands", {"": command}).items():
            yield f"{name} {below}".strip(), each


def test_every_command_is_one() -> None:
    assert [name for name, command in laters() if not isinstance(command, Later)] == []


def test_what_is_listed_is_what_the_command_says_of_itself() -> None:
    for name, command in laters():
        command.explain()
        real = command.load()
        assert command.help, name
        assert (real.help, real.name) == (inspect.cleandoc(command.help), command.name)


@pytest.mark.parametrize("argv", [["--help"], [], ["nope"]])
def test_nothing_is_imported_to_list_them(argv: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LISTED.format(argv=argv)], capture_output=True, text=True, check=False
    )

    assert done.returncode == (2 if argv == ["nope"] else 0)
    assert done.stderr.splitlines()[-1] == ""


def test_a_drain_can_be_made_without_what_runs_an_adapter() -> None:
    listed = "print(*[name for name in sys.modules if name.startswith(('hypercorn', 'syslog_adapter.service'))])"
    done = run(f"import sys, standpipe.commands.drain; {listed}")

    assert (done.stdout, done.stderr) == ("\n", "")


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
