"""A bar: on a terminal, and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from standpipe import bar as module
from standpipe.bar import bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stderr", "is_drawn"), [(Terminal(), True), (io.StringIO(), False)])
def test_a_bar_is_drawn_on_a_terminal(stderr: io.StringIO, is_drawn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(module, "_AFTER_S", 0)
    monkeypatch.setenv("TERM", "xterm")
    with bar() as draw:
        draw(0.5, "half [of] it")
        draw(None, "nobody knows")
    assert ("half [of] it" in stderr.getvalue()) is is_drawn


def test_what_is_soon_done_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(module, "_AFTER_S", 3600)
    with bar() as draw:
        draw(0.5, "half")
    assert stderr.getvalue() == ""
