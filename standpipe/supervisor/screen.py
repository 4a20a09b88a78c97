"""What `standpipe up` shows: where everything listens, what the components write, and how fast envelopes flow.

A reader of the output may go away at any time; what is shown is never worth stopping for.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO, cast

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from standpipe.supervisor.child import Child
from standpipe.supervisor.rates import Rates

PLAIN_EVERY_S = 10.0
_PLAIN_WIDTH = 120


class Screen:
    """The terminal, or the two files in its place: status on stdout, logs on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._out = Console()
        self._live: Live | None = None
        self._plain_due = 0.0
        self._bare = os.environ.get("STANDPIPE_LOG") == "json"
        self.log_stream = cast(TextIO, _LogStream(self))

    def pass_on(self, name: str, line: str) -> None:
        """Show a line that a component wrote; JSON is left as it is."""
        self.log(line if self._bare else f"{name:<18} | {line}")

    def log(self, line: str) -> None:
        """Write a line to stderr; above the status line, should both be on one terminal."""
        if self._live is not None and sys.stderr.isatty():
            with suppress(OSError):
                self._live.console.print(Text.from_ansi(line), soft_wrap=True)
        else:
            _write(sys.stderr, line + "\n")

    def ready(self, children: Sequence[Child], data_dir: Path) -> None:
        """Show where everything listens."""
        if self._quiet:
            return
        table = Table()
        for heading in ("component", "listens", "admin"):
            table.add_column(heading, no_wrap=True)
        for child in children:
            endpoints = dict(child.endpoints)
            admin = endpoints.pop("admin", "")
            table.add_row(child.name, _listens(endpoints), admin)
        self._print(Text(f"Standpipe is up, data in {data_dir}", style="bold"))
        self._print(table)

    @contextmanager
    def status_line(self) -> Iterator[None]:
        """Keep a line of rates at the bottom of the terminal for the time of the block."""
        if self._quiet or not self._out.is_terminal:
            yield
            return
        with Live(console=self._out, auto_refresh=False, transient=True, redirect_stderr=False) as self._live:
            try:
                yield
            finally:
                self._live = None

    def rates(self, rates: Rates, now: float) -> None:
        """Show the latest rates: every time on a terminal, now and then elsewhere."""
        if self._live is not None:
            with suppress(OSError):
                self._live.update(_styled(rates), refresh=True)
        elif not self._quiet and not self._out.is_terminal and now >= self._plain_due:
            self._plain_due = now + PLAIN_EVERY_S
            self._print(_styled(rates))

    def _print(self, what: Table | Text) -> None:
        soft_wrap = isinstance(what, Text)
        if self._out.is_terminal:
            with suppress(OSError):
                self._out.print(what, soft_wrap=soft_wrap)
            return
        text = io.StringIO()
        Console(file=text, width=_PLAIN_WIDTH).print(what, soft_wrap=soft_wrap)
        _write(sys.stdout, text.getvalue())


class _LogStream(io.TextIOBase):
    """Where the supervisor's own log goes: the same way as that of the components."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def write(self, text: str) -> int:
        self._screen.pass_on("up", text.rstrip("\n"))
        return len(text)

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def _write(stream: TextIO, text: str) -> None:
    """Write, unless nobody reads any more; what is in the buffer then must not fail again when Python ends."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        with suppress(OSError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())


def _listens(endpoints: Mapping[str, str]) -> str:
    """Name every port but the main one, which has none."""
    return "\n".join(address if port == "listen" else f"{port} {address}" for port, address in endpoints.items())


def _styled(rates: Rates) -> Text:
    line = Text()
    line.append(f"in {rates.in_s:,.0f}/s   out {rates.out_s:,.0f}/s   ")
    line.append(f"dropped {rates.dropped:,}", style="bold red" if rates.dropped else "")
    line.append(f"   held {rates.held:,}")
    return line
