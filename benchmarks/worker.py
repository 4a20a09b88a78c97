"""What the load generator and the consumers have in common: a process that obeys commands.

Commands come as lines of JSON on standard input, `{"do": name, …}`; each is answered with one line of JSON. The end of
standard input ends the process, so none outlives the one that started it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import uvloop

from plumbing.tls import TlsFiles

T = TypeVar("T")
Answer = Mapping[str, Any]
Handler = Callable[..., Answer]


def arguments(purpose: str) -> ArgumentParser:
    """Begin the flags of a worker with those that all have."""
    parser = ArgumentParser(description=purpose)
    parser.add_argument("--address", required=True, help="host:port of the component")
    parser.add_argument("--certs", required=True, type=Path, help="directory of certificates")
    return parser


def client_files(certs: Path) -> TlsFiles:
    """Name the certificate that workers show."""
    return TlsFiles.named(certs, "client")


class Loop:
    """An asyncio loop on uvloop in its own thread, so that the main thread can wait for commands."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run to the end and return the result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def start(self, coroutine: Coroutine[Any, Any, None], failed: Callable[[str], None]) -> None:
        """Run in the background; an error is handed to `failed`."""

        def done(future: Any) -> None:
            if error := future.exception():
                failed(f"{type(error).__name__}: {error}")

        asyncio.run_coroutine_threadsafe(coroutine, self._loop).add_done_callback(done)


def obey(handlers: Mapping[str, Handler]) -> NoReturn:
    """Say that all is ready, then answer commands until standard input ends."""
    _answer({"ready": True})
    for line in sys.stdin:
        command = json.loads(line)
        _answer(handlers[command.pop("do")](**command))
    os._exit(0)  # streams are still open in other threads, and nobody waits for them


def _answer(answer: Answer) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
