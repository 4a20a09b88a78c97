"""Bindings in a file: JSON, YAML or TOML, told by how its name ends (YAML reads JSON too).

In:    a list of bindings, or a table with the list as `bindings`. Each has `url`, and `source_id` unless it is for
       everybody's envelopes, and perhaps `hostname`, `cert`, `key`, `ca`; or it has the original's form with
       `credentials`. So the original's file of aggregate drains, a list of {url, cert, key, ca}, is one.
Out:   bindings. The file is read again when it changes.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import trio
import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from syslog_adapter.binding import Binding
from syslog_adapter.bindings.errors import MAX_BINDINGS, SourceUnavailable
from syslog_adapter.bindings.wire import WireBinding

MAX_FILE_BYTES = 64 << 20


class _FileBinding(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    source_id: str = ""
    hostname: str = ""
    cert: str = ""
    key: str = ""
    ca: str = ""

    def bindings(self) -> list[Binding]:
        return [Binding(**dict(self))]


_Plain = TypeAdapter(_FileBinding)
_Original = TypeAdapter(WireBinding)


class FileBindings:
    """The bindings of one file."""

    def __init__(self, path: Path, interval_s: float) -> None:
        self.name = str(path)
        self.interval_s = interval_s
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._held: tuple[Binding, ...] = ()

    async def read(self) -> tuple[Binding, ...]:
        """Return what is in it, as it was read last if it has not changed; `SourceUnavailable` says what is wrong."""
        return await trio.to_thread.run_sync(self._read)

    def _read(self) -> tuple[Binding, ...]:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                if status.st_size > MAX_FILE_BYTES:
                    raise SourceUnavailable(f"{self._path}: more than {MAX_FILE_BYTES} bytes")
                self._held = parse_bindings(self._path.read_bytes(), self._path.suffix)
                self._stamp = stamp
        except OSError as error:
            raise SourceUnavailable(f"{self._path}: {error.strerror or error}") from error
        except ValueError as error:
            raise SourceUnavailable(f"{self._path}: {error}") from error
        return self._held


def parse_bindings(content: bytes, suffix: str) -> tuple[Binding, ...]:
    """Read the content of such a file; raises `ValueError` that names the binding that is wrong, never its secrets."""
    document = _parse(content, suffix)
    listed = document.get("bindings", []) if isinstance(document, dict) else document or []
    if not isinstance(listed, list):
        raise ValueError("not a list of bindings")  # noqa: TRY004 - it is the file that is wrong, not the caller
    if len(listed) > MAX_BINDINGS:
        raise ValueError(f"more than {MAX_BINDINGS} bindings")
    return tuple(binding for place, item in enumerate(listed) for binding in _bindings(place, item))


def _parse(content: bytes, suffix: str) -> Any:
    try:
        return tomllib.loads(content.decode()) if suffix == ".toml" else yaml.safe_load(content)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"not YAML{f', line {mark.line + 1}' if mark else ''}") from error


def _bindings(place: int, item: Any) -> list[Binding]:
    original = isinstance(item, dict) and "credentials" in item
    try:
        return (_Original if original else _Plain).validate_python(item).bindings()
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, detail["loc"]))
        raise ValueError(f"binding {place + 1}: {key}{': ' if key else ''}{detail['msg']}") from error
