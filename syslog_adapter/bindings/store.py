"""The bindings that the command line makes: one file, shared by it and by all adapters of an installation.

In:    `add`, `remove`. Out: bindings, by `list` and as a source for an adapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import orjson
import trio

from plumbing.private_files import locked, write_file
from syslog_adapter.binding import Binding
from syslog_adapter.bindings.errors import MAX_BINDINGS
from syslog_adapter.bindings.file import FileBindings, parse_bindings

DRAINS_FILE = "drains.json"


class StoreError(Exception):
    """The file cannot be used: put right what the message names."""


class DrainStore:
    """`drains.json` in a directory: only its owner may read it, and it is written whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / DRAINS_FILE
        self._directory = directory

    def list(self) -> tuple[Binding, ...]:
        """Return what is bound, in the order it was added; nothing where there is no file yet."""
        try:
            return parse_bindings(self.path.read_bytes(), self.path.suffix)
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror or error}") from error
        except ValueError as error:
            raise StoreError(f"{self.path}: {error}") from error

    def add(self, binding: Binding) -> bool:
        """Bind; one of the same source and URL is replaced. False: it was there already, just so."""
        with self._locked():
            held = self.list()
            if binding in held:
                return False
            kept = [each for each in held if (each.source_id, each.url) != (binding.source_id, binding.url)]
            if len(kept) >= MAX_BINDINGS:
                raise StoreError(f"{self.path}: holds {MAX_BINDINGS} drains already")
            self._write([*kept, binding])
            return True

    def remove(self, source_id: str, url: str | None = None) -> tuple[Binding, ...]:
        """Unbind one URL of a source, or all of them; returns what was bound."""
        with self._locked():
            held = self.list()
            gone = tuple(each for each in held if each.source_id == source_id and url in (None, each.url))
            if gone:
                self._write([each for each in held if each not in gone])
            return gone

    def _write(self, bindings: Sequence[Binding]) -> None:
        content = orjson.dumps([asdict(binding) for binding in bindings], option=orjson.OPT_INDENT_2)
        write_file(self.path, content + b"\n")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with locked(self._directory):
                yield
        except OSError as error:
            raise StoreError(f"{error.filename or self._directory}: {error.strerror or error}") from error


class StoreBindings:
    """The same as a source of bindings; a file that is not there is empty."""

    def __init__(self, directory: Path, interval_s: float) -> None:
        self._file = FileBindings(directory / DRAINS_FILE, interval_s)
        self._path = directory / DRAINS_FILE
        self.name = self._file.name
        self.interval_s = interval_s

    async def read(self) -> tuple[Binding, ...]:
        """Return what is bound; raises `SourceUnavailable`."""
        if not await trio.Path(self._path).exists():
            return ()
        return await self._file.read()
