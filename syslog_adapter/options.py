"""What all drains of an adapter have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeAlias

from syslog_adapter.binding import Binding
from syslog_adapter.drain_url import DrainUrl
from syslog_adapter.writers import Writer

Opener: TypeAlias = Callable[[DrainUrl, Binding], AbstractAsyncContextManager[Writer]]
Spawn: TypeAlias = Callable[[Callable[[], Awaitable[None]]], None]


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
