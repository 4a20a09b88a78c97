"""Run `standpipe up` as a real process for the time of a test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from plumbing.tls import TlsFiles, client_context

STANDPIPE = [sys.executable, "-m", "standpipe"]
PATIENCE_S = 30.0


class RunningUp:
    """One `standpipe up`, seen from outside."""

    def __init__(self, process: subprocess.Popen[bytes], data_dir: Path, output: Path) -> None:
        self.process = process
        self.data_dir = data_dir
        self._output = output

    @property
    def output(self) -> str:
        """Everything it has written so far."""
        return self._output.read_text()

    @property
    def endpoints(self) -> dict[str, str]:
        endpoints: dict[str, str] = json.loads((self.data_dir / "endpoints.json").read_bytes())
        return endpoints

    def get(self, component: str, path: str) -> Any:
        """Ask a component's admin port; raises `httpx.HTTPError`."""
        files = TlsFiles.named(self.data_dir / "certs", "client")
        context = client_context(files.ca, files.cert, files.key)
        answer = httpx.get(f"https://{self.endpoints[f'{component}.admin']}{path}", verify=context, trust_env=False)
        return answer.raise_for_status().json()

    def pid(self, component: str) -> int:
        """Return the process of a component, or 0 if it does not answer."""
        try:
            return int(self.get(component, "/ledger")["pid"])
        except httpx.HTTPError:
            return 0

    def wait_until_ready(self) -> None:
        ready = eventually(lambda: (self.data_dir / "endpoints.json").exists() or self.process.poll() is not None)
        assert ready, self.output
        assert self.process.poll() is None, self.output

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def up(data_dir: Path, *flags: str, ready: bool = True) -> Iterator[RunningUp]:
    """Run `standpipe up --ports auto` with more flags; whatever it started is gone at the end."""
    output = data_dir.with_name(f"{data_dir.name}-output-{time.monotonic_ns()}")
    command = [*STANDPIPE, "up", "--data-dir", str(data_dir), "--ports", "auto", *flags]
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    running = RunningUp(process, data_dir, output)
    try:
        if ready:
            running.wait_until_ready()
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(PATIENCE_S)
        finally:
            process.kill()


def eventually(condition: Callable[[], object], *, within_s: float = PATIENCE_S) -> bool:
    """Ask again and again until the condition holds; say whether it ever did."""
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        if condition():
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    """Whether there is such a process that is more than a memory of its parent's."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def session_of(pid: int) -> int:
    """Return the session that a process is in."""
    return os.getsid(pid)
