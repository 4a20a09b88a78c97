"""Start processes, talk to them, look at what they use, and end them, whatever happens."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

START_S = 30.0
ANSWER_S = 30.0
STOP_S = 10.0

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME, _RSS = 11, 12, 21  # fields of /proc/<pid>/stat, counted after the name in parentheses


class BenchmarkError(Exception):
    """A run could not be made; the message says what went wrong, with the last words of the process."""


class Use(NamedTuple):
    """What a process has used so far."""

    cpu_s: float
    threads_s: Mapping[str, float]
    """CPU seconds of each thread there is."""
    rss_bytes: int


class Process:
    """A process of ours: it writes lines of JSON to us, and ends when we do."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        *,
        stdin: int | None,
        stdout: int | Any,
        pass_fds: tuple[int, ...],
    ) -> None:
        self.name = name
        self._log = log
        with log.open("wb") as file:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", *argv],
                stdin=stdin,
                stdout=stdout or file,
                stderr=file,
                pass_fds=pass_fds,
                start_new_session=True,  # a Ctrl-C is for the one who measures; he ends the others
            )
        self._pending = b""

    @property
    def pid(self) -> int:
        return self._popen.pid

    def use(self) -> Use:
        """Read what the process has used so far."""
        fields = _stat(f"/proc/{self.pid}/stat")
        threads = {}
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with suppress(OSError):  # it has just ended
                stat = _stat(f"/proc/{self.pid}/task/{thread}/stat")
                threads[thread] = _cpu_s(stat)
        return Use(_cpu_s(fields), threads, int(fields[_RSS]) * _PAGE_BYTES)

    def close(self) -> None:
        """End the process: first ask, then insist."""
        if self._popen.poll() is None:
            self._popen.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(STOP_S)
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait()

    def read_line(self, descriptor: int, timeout_s: float) -> dict[str, Any]:
        """Wait for one line of JSON."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._pending:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(descriptor, 1 << 16) if ready else b""
            if not chunk:
                raise self.failure("ended" if ready else f"said nothing for {timeout_s:g} s")
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def failure(self, what: str) -> BenchmarkError:
        """Make an error of it that quotes the end of the log."""
        last_words = self._log.read_text(errors="replace").strip()[-2000:]
        return BenchmarkError(f"{self.name} {what}\n{last_words}")


class Component(Process):
    """A component of the system under test."""

    def __init__(self, name: str, module: str, flags: Sequence[str], log: Path) -> None:
        ready, ready_end = os.pipe()
        parent_end, self._parent = os.pipe()
        argv = [module, *flags, "--ready-fd", str(ready_end), "--parent-fd", str(parent_end)]
        try:
            super().__init__(name, argv, log, stdin=subprocess.DEVNULL, stdout=None, pass_fds=(ready_end, parent_end))
            os.close(ready_end)
            os.close(parent_end)
            self.endpoints: Mapping[str, str] = self._wait_until_ready(ready)
        finally:
            os.close(ready)

    def close(self) -> None:
        super().close()
        os.close(self._parent)

    def _wait_until_ready(self, ready: int) -> Mapping[str, str]:
        try:
            endpoints: Mapping[str, str] = self.read_line(ready, START_S)["endpoints"]
        except BaseException:
            self.close()
            raise
        return endpoints


class Worker(Process):
    """A load generator or a consumer (`benchmarks.worker`)."""

    def __init__(self, name: str, module: str, flags: Sequence[str], log: Path) -> None:
        super().__init__(name, [module, *flags], log, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=())
        try:
            self._answer(START_S)
        except BaseException:
            self.close()
            raise

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """Give a command and wait for the answer."""
        stdin = self._popen.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps({"do": do, **details}).encode() + b"\n")
            stdin.flush()
        except OSError as error:
            raise self.failure("ended") from error
        answer = self._answer(ANSWER_S)
        if answer.get("error"):
            raise self.failure(f"failed: {answer['error']}")
        return answer

    def close(self) -> None:
        super().close()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        assert self._popen.stdout is not None
        return self.read_line(self._popen.stdout.fileno(), timeout_s)


def machine_busy_s() -> float:
    """CPU seconds that all cores together have spent on anything so far, other people's work included."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = (
            int(field) for field in file.readline().split()[1:]
        )
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_S


def _stat(path: str) -> list[str]:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def _cpu_s(stat: list[str]) -> float:
    return (int(stat[_UTIME]) + int(stat[_STIME])) / _TICKS_PER_S
