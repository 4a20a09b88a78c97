"""Files that are named on the command line: whether there is one, and what its lines are about. No content is read."""

from __future__ import annotations

import os
import re
from pathlib import Path

_COMPRESSED = re.compile(r"\.(?:gz|zst|bz2|xz)$")
_ROTATED = re.compile(r"(?:[.-]\d+)+$")


def why_none(path: Path) -> str:
    """Say why there is nothing to be read at `path`; nothing if there is, or it is `-`: standard input."""
    if str(path) == "-":
        return ""
    try:
        return f"there is no file {path}" if path.is_dir() or not path.exists() else ""
    except OSError as error:
        return f"{path}: {error.strerror}"


def source_of(path: Path) -> str:
    """Return what a file is about: `access` for `access.log-20261121.gz`."""
    if str(path) == "-":
        return "stdin"
    name = os.fsencode(path.name).decode("utf-8", "replace")
    bare = _ROTATED.sub("", _COMPRESSED.sub("", name))
    return Path(bare).stem or name
