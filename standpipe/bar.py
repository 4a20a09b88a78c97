"""A bar for what takes long: drawn on stderr, if that is a terminal, once it has taken a while; then wiped away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_AFTER_S = 0.5
_EVERY_S = 0.1

Tell = Callable[[float | None, str], None]
"""Told how much is done, from 0 to 1, None if nobody knows, and what to write beside it."""


@contextmanager
def bar() -> Iterator[Tell]:
    """Have a bar for the time of the block."""
    console = Console(stderr=True)
    drawn = Progress(BarColumn(), TextColumn("{task.fields[about]}", markup=False), TimeElapsedColumn(),
                     console=console, transient=True)  # fmt: skip
    task = drawn.add_task("", total=None, about="")
    due = time.monotonic() + _AFTER_S

    def tell(done: float | None, about: str) -> None:
        nonlocal due
        if console.is_terminal and (now := time.monotonic()) >= due:
            due = now + _EVERY_S
            drawn.start()  # again does nothing
            drawn.update(task, total=None if done is None else 1.0, completed=done or 0.0, about=about)

    try:
        yield tell
    finally:
        if drawn.live.is_started:
            drawn.stop()
