"""The store as any other process has it: read only, at the same time as its writer.

In:    the manifest, and the log's files as they grow.
Out:   snapshots, each with every event that was acknowledged before it was asked for.
Drops: nothing; a segment that is damaged is passed over and reported. To set it aside is the writer's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from event_store.storage import verifying
from event_store.storage.crypto import Keyring, read_keys, secret_of
from event_store.storage.errors import SegmentDamaged, StoreLocked, StoreMissing
from event_store.storage.frames import FrameDamaged, unpack
from event_store.storage.hot import HotBuffer
from event_store.storage.manifest import NAME, Manifest, Segment, load
from event_store.storage.quarantine import Damage, reported
from event_store.storage.recovery import WAL
from event_store.storage.schema import numbered
from event_store.storage.snapshot import Snapshot
from event_store.storage.wal import Gap, files, scan


@dataclass(slots=True)
class _Followed:
    """How far a file of the log was read."""

    offset: int = 0
    doubted: int = -1
    """Where something was no frame when it was looked at last."""


class Reader:
    """Follows a store. May be called from any thread."""

    def __init__(self, folder: Path, keys: Keyring | None = None) -> None:
        self.folder = folder
        self._keys = keys
        self._stamp: tuple[int, ...] = ()
        self._manifest = Manifest(0)
        self._sound: tuple[Segment, ...] = ()
        self._damages: dict[str, Damage] = {}
        self._unindexed: dict[Segment, Damage] = {}
        self._hot = HotBuffer()
        self._followed: dict[int, _Followed] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: Path, *, key_file: Path | None = None) -> Reader:
        """Begin to follow the store in `folder`.

        StoreMissing if there is none, StoreDamaged if it has no manifest, StoreLocked if it is sealed with another key.
        """
        reader = cls(folder, None if key_file is None else read_keys(key_file))
        reader.snapshot()
        return reader

    def snapshot(self) -> Snapshot:
        """Return what there is now. Errors as `open`."""
        with self._lock:
            while True:
                stamp = self._look()
                if stamp != self._stamp:
                    self._reload()
                    self._stamp = stamp
                if self._follow() and self._look() == stamp:  # nothing was flushed meanwhile, so nothing was missed
                    return Snapshot(
                        self.folder,
                        self._manifest.version,
                        self._sound,
                        self._hot.batches,
                        self._keys,
                        report=self._note_index,
                    )

    @property
    def damages(self) -> tuple[Damage, ...]:
        """Segments that are passed over, as of the last snapshot, and indexes that were found damaged."""
        with self._lock:
            return (*self._damages.values(), *self._unindexed.values())

    def _look(self) -> tuple[int, ...]:
        try:
            found = os.stat(self.folder / NAME)
        except FileNotFoundError as error:
            raise StoreMissing(f"there is no store in {self.folder}") from error
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _reload(self) -> None:
        manifest = load(self.folder)
        if manifest is None:
            raise StoreMissing(f"there is no store in {self.folder}")
        for segment in manifest.segments:
            secret_of(segment, self._keys)
        known = set(self._sound)
        self._unindexed = {one: damage for one, damage in self._unindexed.items() if one in manifest.segments}
        self._damages = {}
        self._sound = tuple(one for one in manifest.segments if one in known or self._is_sound(one))
        self._hot.drop(manifest.flushed)
        self._followed = {seq: one for seq, one in self._followed.items() if seq >= manifest.flushed}
        self._manifest = manifest

    def _is_sound(self, segment: Segment) -> bool:
        try:
            verifying.look(self.folder, segment)
        except SegmentDamaged as error:
            self._damages[segment.file] = Damage(segment.file, str(error), segment.rows)
            return False
        return True

    def _note_index(self, segment: Segment, what: str) -> None:
        """Note, once, that the index of a segment is damaged; if both are gone, it was joined with others."""
        with self._lock:
            if segment not in self._unindexed and (self.folder / segment.file).exists():
                self._unindexed[segment] = reported(self.folder, Damage(segment.index_file, what, 0))

    def _follow(self) -> bool:
        """Take in what came to the log; False if a file of it was removed meanwhile."""
        try:
            found = files(self.folder / WAL)
        except FileNotFoundError as error:
            raise StoreMissing(f"there is no log of a store in {self.folder}") from error
        try:
            if self._was_cut(dict(found)):
                self._hot, self._followed = HotBuffer(), {}
            for seq, path in found:
                if seq >= self._manifest.flushed:
                    if seq not in self._followed:
                        self._hot.fix()  # what is in another file is flushed at another time
                        self._followed[seq] = _Followed()
                    self._read(path, self._followed[seq])
        except FileNotFoundError:
            return False
        return True

    def _was_cut(self, found: Mapping[int, Path]) -> bool:
        """Whether the log has less than was read of it: it was never acknowledged, and came again elsewhere."""
        return any(seq not in found or found[seq].stat().st_size < one.offset for seq, one in self._followed.items())

    def _read(self, path: Path, followed: _Followed) -> None:
        for found in scan(path, self._manifest.id, followed.offset):
            if isinstance(found, Gap):
                if found.last:  # it may be what is written just now
                    return
                if followed.doubted != found.offset:  # so may this, had the rest come while it was read: look again
                    followed.doubted = found.offset
                    self._read(path, followed)
                    return
            else:
                try:
                    batch, _ = unpack(found.kept, self._keys)
                except StoreLocked as error:
                    raise StoreLocked(f"{path}: {error}") from error
                except FrameDamaged:
                    batch = None
                if batch is not None:
                    self._hot.add(numbered(batch, found.head.before))
            followed.offset = found.end
