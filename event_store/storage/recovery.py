"""Find out, when a store is opened for writing, what is in its folder, whatever ended the process before.

What was being written and was never acknowledged is cut off; what is damaged is set aside and reported; files that the
manifest does not name are removed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from event_store.storage import segments, verifying
from event_store.storage.crypto import Keyring, secret_of
from event_store.storage.errors import SegmentDamaged, StoreDamaged, StoreLocked
from event_store.storage.frames import FrameDamaged, unpack
from event_store.storage.hot import HotBuffer
from event_store.storage.manifest import NAME, Manifest, Segment, load, save
from event_store.storage.quarantine import Damage, keep_segment, let_go, set_bytes_aside
from event_store.storage.schema import numbered
from event_store.storage.wal import DRAFT, Gap, Whole, files, scan

WAL = "wal"
_SKIPPED = 1 << 20
"""As many places are not given again when the end of the log was lost: more than one append has events."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Recovered:
    """A store as its folder says."""

    folder: Path
    manifest: Manifest
    keys: Keyring | None
    next_seq: int = 0
    hot: HotBuffer = field(default_factory=HotBuffer)
    marks: list[bytes] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)

    @property
    def columns(self) -> frozenset[str]:
        """The names of all columns that any part of it has."""
        held = (batch.schema.names for batch in self.hot.batches)
        return frozenset().union(*(one.columns for one in self.manifest.segments), *held)

    def read_log(self) -> None:
        """Take in the events that are in no segment."""
        self.next_seq = max(self.next_seq, self.manifest.flushed)
        for draft in (self.folder / WAL).glob(f".*{DRAFT}"):
            draft.unlink()
        for first_seq, path in files(self.folder / WAL):
            if first_seq < self.manifest.flushed:
                path.unlink()  # a flush was cut short before it came to this
                continue
            self.next_seq = max(self.next_seq, first_seq + 1)  # no other file may have its name
            for found in scan(path, self.manifest.id):
                if isinstance(found, Whole):
                    self._take(path, found)
                else:
                    self._pass_over(path, found)
            if path.stat().st_size:
                _sync(path)  # what was cut off stays so, and what counts from now on outlives the machine
            else:
                path.unlink()

    def look_at_segments(self) -> None:
        """Set aside those that a glance shows to be damaged."""
        bad: list[Segment] = []
        for segment in self.manifest.segments:
            try:
                verifying.look(self.folder, segment)
            except SegmentDamaged as error:
                self.damages.append(keep_segment(self.folder, segment, str(error)))
                bad.append(segment)
        if bad:
            self.manifest = self.manifest.changed(remove={segment.file for segment in bad})
            save(self.folder, self.manifest)
        for segment in bad:
            let_go(self.folder, segment)

    def _take(self, path: Path, found: Whole) -> None:
        self.next_seq = max(self.next_seq, found.head.end)
        try:
            batch, marks = unpack(found.kept, self.keys)
        except StoreLocked as error:
            raise StoreLocked(f"{path}: {error}") from error
        except FrameDamaged as error:
            name = f"{WAL}/{path.name}"
            self.damages.append(
                set_bytes_aside(self.folder, name, found.offset, found.kept.batch, str(error), found.kept.count)
            )
            return
        if batch is None:  # at the start of a file: what it knows of those that were before it
            self.marks.clear()
        else:
            self.hot.add(numbered(batch, found.head.before))
        self.marks += marks

    def _pass_over(self, path: Path, gap: Gap) -> None:
        if gap.torn:
            os.truncate(path, gap.offset)
            log.info("log_cut", file=str(path), offset=gap.offset, bytes=len(gap.content))
            return
        name, what = f"{WAL}/{path.name}", "a frame of the log is not what was written"
        self.damages.append(set_bytes_aside(self.folder, name, gap.offset, gap.content, what, gap.events))
        if gap.last:
            self.next_seq += _SKIPPED


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def recover(folder: Path, keys: Keyring | None) -> Recovered:
    """Read the folder, which must be locked, and make a store of an empty one; StoreDamaged or StoreLocked if not."""
    manifest = load(folder)
    (folder / WAL).mkdir(mode=0o700, exist_ok=True)
    (folder / segments.FOLDER).mkdir(mode=0o700, exist_ok=True)
    if manifest is None:
        if files(folder / WAL) or segments.strays(folder, ()):
            raise StoreDamaged(f"{folder} holds events, and no {NAME}: put one from a backup in its place")
        manifest = Manifest.new()
        save(folder, manifest)
    for segment in manifest.segments:
        secret_of(segment, keys)
    recovered = Recovered(folder, manifest, keys)
    recovered.read_log()
    recovered.look_at_segments()
    for stray in segments.strays(folder, recovered.manifest.segments):
        stray.unlink()
    return recovered
