"""What was found damaged is set aside, so that the rest serves, and nothing is thrown away.

Each thing in `quarantine/` has a note beside it that says where it was, and of a segment what the manifest knew: a file
that is repaired can be put back.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import structlog

from event_store.storage.index import SUFFIX
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


def keep_segment(folder: Path, segment: Segment, what: str) -> Damage:
    """Keep the files of a segment, if they are there, and report it; then the manifest must forget it.

    They have two names until `let_go`: whatever happens meanwhile, a file that is part of the store stays, and one that
    is not is kept.
    """
    damage = reported(folder, Damage(segment.file, what, segment.rows))
    with suppress(OSError):  # `let_go` does what it can
        target = _place(folder, segment.file)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        _note(target, {**asdict(damage), "segment": _plain(segment)})
        for file in (segment.index_file, segment.file):
            _place(folder, file).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                os.link(folder / file, _place(folder, file))
    return damage


def let_go(folder: Path, segment: Segment) -> None:
    """Take the files of a segment that is kept, and that the manifest has forgotten, out of the way."""
    for file in (segment.index_file, segment.file):
        path = folder / file
        with suppress(OSError):  # it is gone, or stays where it is until the next start
            if _is_kept(folder, file):
                path.unlink()
            else:
                path.replace(path.with_name(f"{path.name}.damaged"))


def set_bytes_aside(folder: Path, file: str, offset: int, content: bytes, what: str, events: int | None) -> Damage:
    """Keep a copy of bytes of a log's file, and report them; done twice, there is one copy."""
    damage = reported(folder, Damage(file, f"{what}, {len(content)} bytes at {offset}", events))
    target = _place(folder, f"{file}.{offset}")
    with suppress(OSError):  # the disk may be full: what can be read is more important
        target.parent.mkdir(mode=0o700, exist_ok=True)
        _note(target, asdict(damage))
        write_file(target, content)
    return damage


def count(folder: Path) -> int:
    """How many things are set aside, without what lies beside them."""
    place = folder / FOLDER
    return sum(path.suffix not in (".json", SUFFIX) for path in place.iterdir()) if place.is_dir() else 0


def reported(folder: Path, damage: Damage) -> Damage:
    """Say in the log that something is damaged."""
    log.error("store_damaged", folder=str(folder), **asdict(damage))
    return damage


def _is_kept(folder: Path, file: str) -> bool:
    try:
        return _place(folder, file).samefile(folder / file)
    except OSError:
        return False


def _place(folder: Path, file: str) -> Path:
    return folder / FOLDER / file.replace("/", "_")


def _note(target: Path, said: dict[str, object]) -> None:
    write_file(target.with_name(f"{target.name}.json"), orjson.dumps(said, option=orjson.OPT_INDENT_2))


def _plain(segment: Segment) -> dict[str, object]:
    sources = None if segment.sources is None else sorted(segment.sources)
    return {**asdict(segment), "columns": sorted(segment.columns), "sources": sources}
