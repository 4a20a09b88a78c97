"""What was found damaged is set aside, so that the rest serves, and nothing is thrown away.

Each thing in `quarantine/` has a note beside it that says where it was, and of a segment what the manifest knew: a file
that is repaired can be put back.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import structlog

from event_store.storage.manifest import Segment
from plumbing.private_files import write_file

FOLDER = "quarantine"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not what was written."""

    file: str
    """Relative to the folder of the store."""
    what: str
    events: int | None
    """How many events are lost with it; None if nobody knows."""


def set_segment_aside(folder: Path, segment: Segment, what: str) -> Damage:
    """Move the file of a segment out of the way, if it is there, and report it; then the manifest must forget it."""
    damage = _reported(folder, Damage(segment.file, what, segment.rows))
    target = _place(folder, segment.file)
    path = folder / segment.file
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        _note(target, {**asdict(damage), "segment": _plain(segment)})
        path.replace(target)
    except OSError:
        with suppress(OSError):  # it is gone, or stays where it is, under a name that is no segment's
            path.replace(path.with_name(f"{path.name}.damaged"))
    return damage


def set_bytes_aside(folder: Path, file: str, offset: int, content: bytes, what: str, events: int | None) -> Damage:
    """Keep a copy of bytes of a log's file, and report them; done twice, there is one copy."""
    damage = _reported(folder, Damage(file, f"{what}, {len(content)} bytes at {offset}", events))
    target = _place(folder, f"{file}.{offset}")
    with suppress(OSError):  # the disk may be full: what can be read is more important
        target.parent.mkdir(mode=0o700, exist_ok=True)
        _note(target, asdict(damage))
        write_file(target, content)
    return damage


def count(folder: Path) -> int:
    """How many things are set aside."""
    place = folder / FOLDER
    return sum(path.suffix != ".json" for path in place.iterdir()) if place.is_dir() else 0


def _reported(folder: Path, damage: Damage) -> Damage:
    log.error("store_damaged", folder=str(folder), **asdict(damage))
    return damage


def _place(folder: Path, file: str) -> Path:
    return folder / FOLDER / file.replace("/", "_")


def _note(target: Path, said: dict[str, object]) -> None:
    write_file(target.with_name(f"{target.name}.json"), orjson.dumps(said, option=orjson.OPT_INDENT_2))


def _plain(segment: Segment) -> dict[str, object]:
    sources = None if segment.sources is None else sorted(segment.sources)
    return {**asdict(segment), "columns": sorted(segment.columns), "sources": sources}
