"""What all drains of an adapter have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import trio

from syslog_adapter.binding import Binding
from syslog_adapter.drain_url import DrainUrl
from syslog_adapter.inbox import AT_ONCE, Together
from syslog_adapter.writers import Writer

Opener: TypeAlias = Callable[[DrainUrl, Binding], AbstractAsyncContextManager[Writer]]
Spawn: TypeAlias = Callable[[Callable[[], Awaitable[None]]], None]

MOST_BATCH_RETRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainSettings:
    """What all drains of an adapter have in common."""

    open_writer: Opener
    waits: Callable[[], Iterator[float]]
    """How long to wait before each further try, in seconds; its end is the end of the tries."""

    spawn: Spawn
    """Starts a task that lives as long as the drains do."""

    warn: Callable[[str, str], None] = lambda *_: None
    """Tells the owner of a source something: (source_id, text)."""

    capacity: int = 10_000
    capacity_bytes: int = 16 << 20
    idle_s: float = 600.0

    batches: Together = AT_ONCE
    """What goes in one POST to an `https-batch` drain."""

    spool_dir: Path | None = None
    """Where drains that ask for a spool have one; None: they have none."""

    spool_max_bytes: int = 1 << 28

    batch_retries: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(MOST_BATCH_RETRIES))
    """Gives way to so many batches of `https-batch` drains at once that are tried again."""
