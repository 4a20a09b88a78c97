"""What is done to the envelopes of a drain before they wait for it: put in order, then joined. No clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from syslog_adapter.drain_url import DrainOptions
from syslog_adapter.multiline import Joiner
from syslog_adapter.ordering import Window


class Stage(Protocol):
    """Something that holds envelopes for a while."""

    @property
    def held(self) -> int:
        """How many it holds."""

    @property
    def due_at(self) -> float:
        """When it has something to let go of, if nothing comes before; never: infinity."""

    def add(self, batch: bytes, now: float) -> bytes:
        """Take an admitted batch; return what goes at once."""

    def release(self, now: float) -> bytes:
        """Return what is due."""


class Shaping:
    """Stages, one behind the other. Every envelope that goes in comes out, or is held."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)

    @classmethod
    def of(cls, options: DrainOptions, *, most: int, most_bytes: int) -> Shaping | None:
        """Have the stages that a drain asks for; None when there are none. A window holds no more than so much."""
        stages: list[Stage] = []
        if options.order_window_s:
            stages.append(Window(options.order_window_s, most=most, most_bytes=most_bytes))
        if options.joins:
            stages.append(Joiner.of(options.multiline, options.multiline_start))
        return cls(stages) if stages else None

    @property
    def held(self) -> int:
        """Envelopes on their way through."""
        return sum(stage.held for stage in self._stages)

    @property
    def due_at(self) -> float:
        """When something is to come out; infinity when nothing is held."""
        return min((stage.due_at for stage in self._stages), default=math.inf)

    def turn(self, batch: bytes, count: int, now: float) -> tuple[bytes, int]:
        """Take so many envelopes, which may be none; return those that come out. At the time infinity that is all."""
        held = self.held
        for stage in self._stages:
            batch = stage.add(batch, now) + stage.release(now)
        return batch, count + held - self.held
