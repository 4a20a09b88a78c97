"""Find the targets that YAML files name, as they are now."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Sequence
from typing import Any, TypeAlias

import structlog
import yaml
from pydantic import ValidationError

from metron.sources.prometheus.config import ScrapeTarget

log = structlog.get_logger(__name__)

MAX_FILE_BYTES = 64 << 10
_KEYS = ScrapeTarget.model_fields.keys() - {"host"}

Found: TypeAlias = ScrapeTarget | str
"""A target, or what is wrong with it."""


class TargetFiles:
    """The files behind some globs. `look` touches files: call it in a thread, never twice at a time."""

    def __init__(self, globs: Sequence[str]) -> None:
        self._globs = globs
        self._read: dict[str, tuple[bytes, Found]] = {}

    def look(self) -> dict[str, Found]:
        """Read every file there is now; by path, in order. What has not changed is not looked into again."""
        paths = sorted({path for pattern in self._globs for path in glob.iglob(pattern, recursive=True)})
        found: dict[str, Found] = {}
        read: dict[str, tuple[bytes, Found]] = {}
        for path in paths:
            try:
                content = _content(path)
            except FileNotFoundError:  # it was there a moment ago
                continue
            except (OSError, ValueError) as error:
                found[path] = str(error)
                continue
            known = self._read.get(path)
            read[path] = known if known and known[0] == content else (content, parse_target(content, path))
            found[path] = read[path][1]
        self._read = read
        return found


def parse_target(content: bytes, path: str) -> Found:
    """Read one file as the original does: a scalar is the text it is written with, and unknown keys are passed over."""
    try:
        document = yaml.load(content, Loader=yaml.BaseLoader)  # noqa: S506 - it makes text, lists and mappings only
        given = _given(document)
        if unknown := given.keys() - _KEYS:
            log.info("scrape_file_keys_ignored", path=path, keys=sorted(unknown)[:10])
        return ScrapeTarget(**{key: value for key, value in given.items() if key in _KEYS})
    except yaml.YAMLError as error:
        return f"not YAML: {' '.join(str(error).split())}"[:300]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:300]
    except (ValueError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"[:300]


def _given(document: Any) -> dict[str, Any]:
    """Leave out what is empty: templates write `server_name:` or `server_name: ""` for what is not set."""
    if not isinstance(document, dict):
        raise ValueError("not a mapping")  # noqa: TRY004 - wrong content, not a wrong call
    return {str(key): value for key, value in document.items() if value not in ("", "~", "null", None)}


def _content(path: str) -> bytes:
    with open(path, "rb", opener=_open_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("not a regular file")
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"over {MAX_FILE_BYTES} bytes")
    return content


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; one that turns out to be a pipe keeps nobody waiting for its writer."""
    return os.open(path, flags | os.O_NONBLOCK)
