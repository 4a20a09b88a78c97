"""The tutorial of docs/nozzles.md: every command that it shows is run, in order, and says what the page shows."""

import os
import re
import site
import subprocess
import time
import venv
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.end_to_end.systems import PATIENCE_S, eventually

PAGE = Path(__file__).parents[2] / "docs" / "nozzles.md"
SECTION = re.compile(r"^## Your own in ten minutes\n(.*?)^## ", re.M | re.S)
BLOCK = re.compile(r"^```(console|toml)\n(.*?)^```", re.M | re.S)
RUNS_ON, IS_LATE = "standpipe up", ("cat ", "standpipe nozzle status")
"""What is left running; and what may be a moment behind what was sent."""


class Step(NamedTuple):
    """A command and the lines that are shown below it; or a file, and what is in it."""

    command: str
    shown: list[str]
    file: str = ""


def steps() -> Iterator[Step]:
    section = SECTION.search(PAGE.read_text(encoding="utf-8"))
    assert section is not None
    for kind, text in BLOCK.findall(section[1]):
        if kind == "toml":
            yield Step("", text.splitlines(), file=text.splitlines()[0].removeprefix("# "))
            continue
        for one in text.removeprefix("$ ").split("\n$ "):
            command, *shown = one.splitlines()
            yield Step(command, shown)


def is_as_shown(shown: list[str], output: str) -> bool:
    """Whether it is the same but for the width of gaps, and for what `…` stands for."""
    pattern = "".join(
        r"(?:.*\n)*" if line == "…" else re.escape(" ".join(line.split())).replace("…", ".*") + r"\n" for line in shown
    )
    lines = "".join(" ".join(line.split()) + "\n" for line in output.splitlines())
    return re.fullmatch(pattern, lines) is not None


class Terminal:
    """Shells that remember the folder and the variables of the last one, as one at a terminal does."""

    def __init__(self, home: Path) -> None:
        self._state = home / "variables"
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
        self._environ = {**kept, "HOME": str(home), "STANDPIPE_PORTS": "auto", "PIP_NO_INDEX": "1"}
        self._before = f'[ -f "{self._state}" ] && . "{self._state}" && cd "$PWD"'
        self._running: list[subprocess.Popen[bytes]] = []
        self.folder = home

    def run(self, command: str) -> str:
        """Run a command to its end, and return all that it said; it must succeed."""
        after = f'code=$?; export -p > "{self._state}"; exit $code'
        ended = subprocess.run(
            ["bash", "-c", f"{self._before}\n{command}\n{after}"],
            cwd=self.folder,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * PATIENCE_S,
            check=False,
        )
        assert ended.returncode == 0, f"{command}: {ended.stdout}"
        return ended.stdout

    def start(self, command: str) -> None:
        """Leave a pipeline running, once it is ready."""
        script = f"{self._before}\nexec {command} > {self.folder}/output 2>&1"
        running = subprocess.Popen(["bash", "-c", script], cwd=self.folder, env=self._environ, stdin=subprocess.DEVNULL)
        self._running.append(running)
        ready = self.folder / ".local" / "share" / "standpipe" / "endpoints.json"
        assert eventually(lambda: ready.exists() or running.poll() is not None)
        assert ready.exists(), (self.folder / "output").read_text()

    def close(self) -> None:
        """End what was left running."""
        for each in self._running:
            each.terminate()
            try:
                each.wait(PATIENCE_S)
            finally:
                each.kill()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a `.venv`: whatever this test's own environment has, and room for more that is gone with it."""
    venv.create(home := tmp_path / ".venv", symlinks=True)
    (installed,) = home.glob("lib/python*/site-packages")
    lines = [f"import site; site.addsitedir({folder!r})\n" for folder in site.getsitepackages()]
    (installed / "of_this_test.pth").write_text("".join(lines))
    for name in ("pip", "standpipe"):
        script = home / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{home}/bin/python" -m {name} "$@"\n')
        script.chmod(0o755)
    return tmp_path


def follow(step: Step, terminal: Terminal) -> str:
    """Do what a step says, and return what came of it; wait for what comes late."""
    if step.file:
        (terminal.folder / "words" / step.file).write_text("\n".join(step.shown))
        return "\n".join(step.shown)
    if step.command.startswith(RUNS_ON):
        terminal.start(step.command)
        return ""
    output = terminal.run(step.command)
    if step.command.startswith(IS_LATE):
        give_up = time.monotonic() + PATIENCE_S
        while not is_as_shown(step.shown, output) and time.monotonic() < give_up:
            output = terminal.run(step.command)
    return output


def test_every_command_of_the_tutorial_does_what_the_page_shows(checkout: Path) -> None:
    tutorial = list(steps())
    with closing(Terminal(checkout)) as terminal:
        for step in tutorial:
            output = follow(step, terminal)
            assert not step.shown or is_as_shown(step.shown, output), output

    commands = " ".join(step.command for step in tutorial)
    assert all(each in commands for each in ("standpipe nozzle new", "pytest", RUNS_ON, "standpipe emit", *IS_LATE))


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        (["a  b"], "a b  \n", True),
        (["a …"], "a b c\n", True),
        (["…", "b"], "x\ny\nb\n", True),
        (["a"], "a\nb\n", False),
        (["a.c"], "abc\n", False),
    ],
)
def test_what_is_shown_is_compared_but_for_gaps_and_dots(shown: list[str], output: str, same: bool) -> None:
    assert is_as_shown(shown, output) == same
