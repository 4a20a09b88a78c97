"""Follow the files of some sources and send their lines on.

In:    files that grow, are rotated and are cut short, found by globs.
Out:   one log envelope per line, empty lines too, in the order of each file.
Drops: nothing that could be read. What was sent and not delivered when the process dies is sent again: at least once.
       A file that comes and goes between two polls is never seen; nor, after a kill, is one that came after the last
       save and was renamed before the next start, unless a glob names it still. So let globs cover rotated names too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

from metron.sources.checkpoints import Checkpoints
from metron.sources.config import FilesConfig
from metron.sources.counts import SourceCounts
from metron.sources.file_set import FileSet
from metron.sources.follow import Reading
from metron.sources.outlet import LogSender, Outlet

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_SCAN_SHARE = 0.1
"""The part of the time that looking for changes may take at most."""


async def tail_files(
    config: FilesConfig,
    outlet: Outlet,
    checkpoints: Checkpoints,
    counts: SourceCounts,
    *,
    stop: trio.Event,
    now_ns: Callable[[], int],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Send the lines of the files until `stop` is set, and then those already read; started once all are found.

    A line without its end is not sent at stop: it stays in its file, and is read whole after the next start.
    """
    tailing = _Tailing(config, checkpoints, counts, LogSender(outlet, counts, now_ns))
    await tailing.run(stop, task_status)


class _Tailing:
    """The tasks of one `tail_files`: one looks, one reads and sends, one saves; each touches the files in its turn.

    Looking goes on while sending waits for room, so that a file rotated meanwhile is already open when it is removed.
    """

    def __init__(self, config: FilesConfig, checkpoints: Checkpoints, counts: SourceCounts, sender: LogSender) -> None:
        self._config = config
        self._checkpoints = checkpoints
        self._sender = sender
        self._files = FileSet(config, checkpoints, counts)
        self._turn = trio.Lock()
        self._news = trio.Event()
        self._unsettled = 0
        self._settled = trio.lowlevel.ParkingLot()

    async def run(self, stop: trio.Event, task_status: trio.TaskStatus[None]) -> None:
        try:
            await self._in_thread(self._files.scan, trio.current_time())
            try:
                await self._save()
                task_status.started()
                await self._work(stop)
            finally:
                with trio.CancelScope(shield=True):  # no deadline: it ends with the write of one small file
                    await self._save()
        finally:
            self._files.close()

    async def _work(self, stop: trio.Event) -> None:
        async with trio.open_nursery() as background:
            background.start_soon(self._scan_regularly)
            background.start_soon(self._save_regularly)
            background.start_soon(self._wake_at, stop)
            await self._send_until(stop)
            with trio.move_on_after(self._config.settle_grace_s):
                while self._unsettled:
                    await self._settled.park()
            background.cancel_scope.cancel()

    async def _scan_regularly(self) -> None:
        pause_s = self._config.poll_s
        while True:
            await trio.sleep(pause_s)
            started = trio.current_time()
            await self._in_thread(self._files.scan, started)
            self._wake()
            pause_s = max(self._config.poll_s, (trio.current_time() - started) / _SCAN_SHARE)

    async def _save_regularly(self) -> None:
        while True:
            await trio.sleep(self._config.checkpoint_every_s)
            await self._save()

    async def _send_until(self, stop: trio.Event) -> None:
        while not stop.is_set():
            news = self._news  # taken before looking: what comes in between is not missed
            if self._files.ready:
                for reading in await self._in_thread(self._files.read_round, trio.current_time()):
                    await self._send(reading)
            else:
                await news.wait()

    async def _send(self, reading: Reading) -> None:
        advance = reading.expect()
        self._unsettled += 1

        def settled() -> None:
            advance()
            self._unsettled -= 1
            if not self._unsettled:
                self._settled.unpark_all()

        await self._sender.send(reading.run, reading.head, err=reading.err, settled=settled)

    async def _save(self) -> None:
        async with self._turn:
            self._checkpoints.update(self._files.positions())
            self._files.let_go(trio.current_time())
        await self._checkpoints.save()

    async def _wake_at(self, event: trio.Event) -> None:
        await event.wait()
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def _in_thread(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        async with self._turn:
            return await trio.to_thread.run_sync(call, *args)
