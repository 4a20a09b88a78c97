"""Keep one component running: start its process, hear when it is ready, start another one when it ends.

The process is in a session of its own, so that a Ctrl-C reaches the supervisor alone and the order of stopping is kept.
It ends by itself when the supervisor is gone, which it knows by the end of file of its lifeline.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
import trio

from standpipe.errors import CommandFailed
from standpipe.supervisor.backoff import Backoff
from standpipe.supervisor.plan import Component

log = structlog.get_logger(__name__)

READY_WITHIN_S = 30.0
_LAST_WORDS_S = 1.0
_LINE_BYTES = 64 << 10


class StartFailed(CommandFailed):
    """A component ended before it was ever ready; the message is what it said of that, on one line."""

    def __init__(self, name: str, code: int, words: str) -> None:
        super().__init__(words or f"{name} {in_words(code)} before it was ready")
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all children of one supervisor have in common."""

    pass_on: Callable[[str, str], None]
    """Shows a line that a component wrote: (name, line)."""

    bury: Callable[[Child], Awaitable[None]]
    """Called with a child whose process is dead, before the next one is started."""

    lifeline: int
    """A descriptor whose end of file tells the children that the supervisor is gone."""

    keepsakes: Sequence[int] = ()
    """Descriptors that the children hold for as long as they live."""


@dataclass(slots=True, eq=False)
class Child:
    """One component, through the lives of all its processes."""

    component: Component
    surroundings: Surroundings
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Where it listens, once it was ready: the same in every later life."""
    book: Mapping[str, Any] | None = None
    """What it last answered on `/ledger`."""
    code: int = 0
    """The exit code of the last process."""
    restarts: int = 0
    ended: trio.Event = field(default_factory=trio.Event)
    """Set once no process will come any more."""
    _process: trio.Process | None = None
    _ending: trio.Event = field(default_factory=trio.Event)
    _words: str = ""

    @property
    def name(self) -> str:
        """What the component is called."""
        return self.component.name

    @property
    def ended_cleanly(self) -> bool:
        """Whether its last process drained; one that was stopped before it had begun to listen had nothing to drain."""
        return self.code == 0 or (self.code == -signal.SIGTERM and not self.endpoints)

    def ask_to_end(self) -> None:
        """Let the process drain and end, and start no other."""
        self._ending.set()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process on the spot, and start no other."""
        self._ending.set()
        self._signal(signal.SIGKILL)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the component running until it is asked to end; it counts as started once it accepts work.

        Raises `StartFailed` if its very first process never does. Cancelling kills.
        """
        backoff = Backoff()
        try:
            while not self._ending.is_set():
                born = trio.current_time()
                try:
                    self.code = await self._live(task_status.started)
                except OSError as error:  # there is no process, no memory or no descriptor to be had
                    self.code, self._words = os.EX_OSERR, f"{self.name}: cannot be executed: {error}"
                    log.warning("component_not_executed", child=self.name, error=str(error))
                if self._ending.is_set():
                    break
                if not self.endpoints:
                    raise StartFailed(self.name, self.code, self._words)
                wait_s = backoff.after(trio.current_time() - born)
                log.warning("component_died", child=self.name, how=in_words(self.code), restart_in_s=wait_s)
                await self.surroundings.bury(self)
                with trio.move_on_after(wait_s):
                    await self._ending.wait()
                self.restarts += 1
        finally:
            self.ended.set()
        if not self.endpoints:
            task_status.started()

    async def _live(self, first_ready: Callable[[], None]) -> int:
        """Live one process's life, and return its exit code."""
        ready_end, told_end = os.pipe()
        try:
            process = await self._open(told_end)
        except BaseException:
            os.close(ready_end)
            raise
        finally:
            os.close(told_end)
        self._process = process
        if self._ending.is_set():
            process.terminate()
        async with trio.open_nursery() as life:
            life.start_soon(self._hear_ready, ready_end, process, first_ready)
            life.start_soon(self._pass_on, process)
            try:
                code = await process.wait()
            finally:
                await _reap(process)
            life.cancel_scope.deadline = trio.current_time() + _LAST_WORDS_S
        return code

    async def _open(self, told_end: int) -> trio.Process:
        around = self.surroundings
        descriptors = {"ready": told_end, "parent": around.lifeline}
        return await trio.lowlevel.open_process(
            self.component.command(sys.executable, self.endpoints, descriptors),
            stdin=None if self.component.reads_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(*descriptors.values(), *around.keepsakes),
            start_new_session=True,
        )

    async def _hear_ready(self, descriptor: int, process: trio.Process, first_ready: Callable[[], None]) -> None:
        """Learn where the component listens. One that takes too long is killed; one that ends says nothing."""
        line = b""
        async with trio.lowlevel.FdStream(descriptor) as pipe:
            with trio.move_on_after(READY_WITHIN_S) as patience:
                while chunk := await pipe.receive_some():
                    line += chunk
        if patience.cancelled_caught:
            self._words = f"{self.name} was not ready after {READY_WITHIN_S:g} s"
            log.error("component_not_ready", child=self.name, after_s=READY_WITHIN_S)
            process.kill()
        elif line.endswith(b"\n"):
            first, self.endpoints = not self.endpoints, json.loads(line)["endpoints"]
            if first:
                first_ready()

    async def _pass_on(self, process: trio.Process) -> None:
        assert process.stdout is not None
        async with process.stdout as output:
            async for line in lines(output):
                self._words = line
                self.surroundings.pass_on(self.name, line)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


async def lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[str]:
    """Cut what a component writes into lines; one that never ends comes in pieces."""
    rest = b""
    while chunk := await stream.receive_some():
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LINE_BYTES:
            whole.append(rest)
            rest = b""
        for line in whole:
            yield line.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


def in_words(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


async def _reap(process: trio.Process) -> None:
    """Leave no process behind: one that still runs here lost its supervisor's patience."""
    if process.returncode is None:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
