"""What there is to watch on the machine this runs on: its log files and its metrics."""

from __future__ import annotations

import glob
import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LOG_DIR = Path("/var/log")
LOG_SOURCE = "machine"
METRICS_SOURCE = "host"

_DEPTHS = ("*", "*/*")
_MOST_FILES = 200
_WHOLE_FILE_BYTES = 512 << 10
_WHOLE_BYTES = 2 << 20
_SNIFFED_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Logs:
    """Text files that can be read: small ones to be read as a whole, others from their end on."""

    whole: tuple[Path, ...] = ()
    growing: tuple[Path, ...] = ()


def find_logs(directory: Path = LOG_DIR) -> Logs:
    """Look for log files; those to be read as a whole are few enough to be read in a moment."""
    whole: list[Path] = []
    growing: list[Path] = []
    left = _WHOLE_BYTES
    for path, size in sorted(_text_files(directory), key=lambda found: found[1])[:_MOST_FILES]:
        if size <= min(_WHOLE_FILE_BYTES, left):
            whole.append(path)
            left -= size
        else:
            growing.append(path)
    return Logs(tuple(whole), tuple(growing))


def metron_flags(logs: Logs, metrics_every_s: float) -> list[str]:
    """Tell an agent to follow these files, and to look at the machine's metrics."""
    files = [
        {"paths": [glob.escape(str(path)) for path in paths], "source_id": LOG_SOURCE, "start": start}
        for paths, start in ((logs.whole, "beginning"), (logs.growing, "end"))
        if paths
    ]
    return [
        *([f"--files={json.dumps(files)}"] if files else []),
        "--host-metrics.enabled",
        f"--host-metrics.interval-s={metrics_every_s}",
        f"--host-metrics.source-id={METRICS_SOURCE}",
    ]


def _text_files(directory: Path) -> Iterator[tuple[Path, int]]:
    for path in (path for depth in _DEPTHS for path in directory.glob(depth)):
        try:
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_size and _is_text(path):
                yield path, status.st_size
        except OSError:
            continue  # not ours to read, or gone by now


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_SNIFFED_BYTES)
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.end == len(head) > _SNIFFED_BYTES - 4  # a character cut in two
    return b"\0" not in head
