"""Run a command as if nobody were between it and the terminal, and listen to what it writes.

In:    the command's stdout and stderr; the signals that this process gets.
Out:   our own stdout and stderr, chunk by chunk; the signals, to the command.
Drops: nothing the command wrote; what it leaves running in the background is listened to for a second longer.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from math import inf

import trio

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
NOT_EXECUTABLE, NOT_FOUND, KILLED = 126, 127, 128
CHUNK_BYTES = 64 << 10
LINGER_S = 1.0
_LAST_CHUNKS = 16  # a mebibyte: the most a pipe holds

Listener = Callable[[bytes], None]


async def pass_through(command: Sequence[str], out: Listener, err: Listener) -> int:
    """Run `command` to its end, telling `out` and `err` what it writes; returns the exit code a shell would show."""
    heard = [number for number in FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]  # as under nohup
    with trio.open_signal_receiver(*heard) as signals:
        try:
            process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as error:
            sys.stderr.write(f"standpipe run: {command[0]}: {error.strerror}\n")
            return NOT_FOUND if isinstance(error, FileNotFoundError | NotADirectoryError) else NOT_EXECUTABLE
        async with trio.open_nursery() as forwarding:
            forwarding.start_soon(_forward, signals, process)
            code = await _listen(process, out, err)
            forwarding.cancel_scope.cancel()
    return code if code >= 0 else KILLED - code


async def _listen(process: trio.Process, out: Listener, err: Listener) -> int:
    assert isinstance(process.stdout, trio.lowlevel.FdStream)
    assert isinstance(process.stderr, trio.lowlevel.FdStream)
    pipes = [_Pipe(process.stdout), _Pipe(process.stderr)]
    async with trio.open_nursery() as pumps:
        for pipe, target, listener in zip(pipes, (sys.stdout, sys.stderr), (out, err), strict=True):
            pumps.start_soon(_pump, pipe, target.fileno() if target else None, listener)
        code = await process.wait()
        for pipe in pipes:
            pipe.hurry(trio.current_time() + LINGER_S)
    return code


async def _pump(pipe: _Pipe, target: int | None, listener: Listener) -> None:
    """Pass on what comes, unless our own descriptor is closed.

    Where we cannot write, the command must not believe that it can: its pipe is closed.
    """
    async with pipe.stream:
        while chunk := await pipe.read():
            listener(chunk)
            try:
                if target is not None:
                    await _write_all(target, chunk)
            except OSError:
                return


class _Pipe:
    """What one descriptor of the command is connected to."""

    def __init__(self, stream: trio.lowlevel.FdStream) -> None:
        self.stream = stream
        self._deadline = inf
        self._waiting = trio.CancelScope()
        self._chunks_left = _LAST_CHUNKS

    async def read(self) -> bytes:
        """Return what is there, as soon as anything is; nothing at the end."""
        with trio.CancelScope(deadline=self._deadline) as self._waiting:
            return await self.stream.receive_some(CHUNK_BYTES)
        return self._rest()

    def hurry(self, deadline: float) -> None:
        """Wait until `deadline` at most; after that only what the pipe already holds is read."""
        self._deadline = self._waiting.deadline = deadline

    def _rest(self) -> bytes:
        self._chunks_left -= 1
        try:
            return os.read(self.stream.fileno(), CHUNK_BYTES) if self._chunks_left >= 0 else b""
        except BlockingIOError:
            return b""


async def _write_all(fd: int, chunk: bytes) -> None:
    """Write without holding up anything else, however slow the terminal is."""
    left = memoryview(chunk)
    while left:
        try:
            written = await trio.to_thread.run_sync(os.write, fd, left)
        except BlockingIOError:
            await trio.lowlevel.wait_writable(fd)
        else:
            left = left[written:]


async def _forward(signals: AsyncIterator[int], process: trio.Process) -> None:
    async for number in signals:
        if not _terminal_sent(number):
            process.send_signal(number)


def _terminal_sent(number: int) -> bool:
    """Tell whether the command has had this signal already: a terminal sends Ctrl-C to all in the foreground."""
    if number not in (signal.SIGINT, signal.SIGQUIT):
        return False
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
