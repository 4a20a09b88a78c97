"""Copy a store to another folder, which is a store itself, whether its writer runs or not; again, only what is new.

In:    the manifest, the segments it names with what lies beside them, and the frames of the log; no keys: what is
       sealed stays so.
Out:   the same, every file checked while it is copied and on disk before it counts.
Drops: a segment that is not what was written, and that the copy has not from before; it is reported.

Drafts of the log come first, and files of segments, which the copy's manifest does not name yet. Then the manifest
makes them part of it, the log is put behind it, and last goes what is part of it no more. So a copy that was cut short
holds, from the first that was completed on, what the store held at that moment or at a later one.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from event_store.backup.target import Target, pieces
from event_store.storage import Damage, Segment, StoreMissing
from event_store.storage.manifest import Manifest, load, save
from event_store.storage.recovery import WAL
from event_store.storage.wal import DRAFT, Whole, files, scan
from plumbing.private_files import sync_directory

OnCopied = Callable[[int, int], None]
"""Told now and then how many bytes of how many are there."""


@dataclass(slots=True)
class BackedUp:
    """What one backup did."""

    segments: int = 0
    """As many are in the copy."""
    copied: int = 0
    """Files of segments that the copy had not."""
    copied_bytes: int = 0
    log_bytes: int = 0
    removed: int = 0
    """Files that were part of the copy no more."""
    damages: list[Damage] = field(default_factory=list)
    """What could not be copied."""


class _Gone(Exception):
    """The store has another manifest meanwhile: begin again, with what is there by now."""


def back_up(source: Path, target: Path, on_copied: OnCopied = lambda _, __: None) -> BackedUp:
    """Make the folder `target` a copy of the store in `source`, or bring it up to what that holds now.

    Every event that was acknowledged before is in it. StoreMissing, StoreDamaged, StoreBusy if one of the folders
    cannot be read or written so; BackupRefused; OSError if the disk fails: then the copy is as it was, or newer.
    """
    copied, every = 0, _bytes(_manifest(source))

    def on_bytes(count: int) -> None:
        nonlocal copied
        copied += count
        on_copied(copied, max(copied, every))

    held = Target(target, on_bytes)
    with held.held(source):
        while True:
            with suppress(_Gone):
                return _Backup(source, held).run()
            copied, every = 0, _bytes(_manifest(source))


class _Backup:
    """One try, for one manifest."""

    def __init__(self, source: Path, target: Target) -> None:
        self._source = source
        self._target = target
        self._manifest = _manifest(source)
        self._done = BackedUp()

    def run(self) -> BackedUp:
        """Do it; _Gone if the store gave up, meanwhile, something that was to be copied."""
        self._target.look(self._manifest)
        drafts = self._drafts_of_log()  # first, as the store flushes it sooner than it removes segments
        kept = tuple(found for one in self._manifest.segments if (found := self._copied(one)) is not None)
        log = self._target.log | {(name, draft.stat().st_size) for name, draft in drafts.items()}
        self._target.note(self._manifest, {self._target.version, self._manifest.version}, log)
        save(self._target.folder, replace(self._manifest, segments=kept))
        for name, draft in sorted(drafts.items()):
            draft.replace(self._target.folder / WAL / name)
            sync_directory(self._target.folder / WAL)
        self._done.removed = self._target.clear(kept, drafts.keys())
        self._done.segments = len(kept)
        return self._done

    def _copied(self, segment: Segment) -> Segment | None:
        """See to it that the target has a segment; returns it as it is there: without an index, or None, if damaged."""
        for piece in pieces(segment):
            if self._target.has(piece):
                continue
            try:
                what = "" if self._target.take(self._source / piece.file, piece) else "its checksum is wrong"
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EIO) or error.filename != str(self._source / piece.file):
                    raise
                what = f"it cannot be copied: {error.strerror}"
            if what:
                return self._without(segment, piece.file, what)
            self._done.copied += 1
            self._done.copied_bytes += piece.bytes
        return segment

    def _without(self, segment: Segment, file: str, what: str) -> Segment | None:
        if segment not in _manifest(self._source).segments:
            raise _Gone
        is_index = file != segment.file
        self._done.damages.append(Damage(file, what, 0 if is_index else segment.rows))
        return replace(segment, index_bytes=0, index_checksum="") if is_index else None

    def _drafts_of_log(self) -> dict[str, Path]:
        """Copy what is in the log: by name, drafts of its files."""
        found = [path for seq, path in files(self._source / WAL) if seq >= self._manifest.flushed]
        if _manifest(self._source).flushed != self._manifest.flushed:
            raise _Gone  # what is there does not follow on the segments of this manifest
        drafts: dict[str, Path] = {}
        for path in found:
            draft = self._target.folder / WAL / f".{path.name}{DRAFT}"
            try:
                size = _whole_bytes(path, self._manifest.id)
                self._target.draft(path, draft, size)
            except FileNotFoundError:
                raise _Gone from None
            drafts[path.name] = draft
            self._done.log_bytes += size
        return drafts


def _manifest(folder: Path) -> Manifest:
    manifest = load(folder) if folder.is_dir() else None
    if manifest is None:
        raise StoreMissing(f"there is no store in {folder}")
    return manifest


def _bytes(manifest: Manifest) -> int:
    return sum(segment.bytes_on_disk for segment in manifest.segments)


def _whole_bytes(path: Path, seed: int) -> int:
    """Where the last whole frame of a file of the log ends: what follows is being written, and not acknowledged."""
    return max((found.end for found in scan(path, seed) if isinstance(found, Whole)), default=0)
