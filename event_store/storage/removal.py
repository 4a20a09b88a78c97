"""Files that are part of the store no more, and are read still: removed when nobody is known, or likely, to read them.

A snapshot of this process holds its manifest as long as it lives. Of other processes nothing is known: they have a
while, and one that comes too late finds the next manifest. Not for two threads at once.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from event_store.storage.manifest import Manifest, Segment


class _Retired(NamedTuple):
    path: Path
    version: int
    """The first manifest without it."""
    since: float


@dataclass(slots=True)
class Removal:
    """Remembers what is to be removed; what it forgets when the process ends, the next start removes."""

    folder: Path
    delay_s: float
    clock: Callable[[], float]
    _lent: weakref.WeakValueDictionary[int, Manifest] = field(default_factory=weakref.WeakValueDictionary)
    _retired: list[_Retired] = field(default_factory=list)

    def lend(self, manifest: Manifest) -> Manifest:
        """Keep the files of `manifest` as long as anybody holds it."""
        self._lent[manifest.version] = manifest
        return manifest

    def retire(self, segments: Iterable[Segment], version: int) -> None:
        """Let the files of segments go that are not in the manifest from `version` on."""
        now = self.clock()
        files = [file for segment in segments for file in (segment.index_file, segment.file)]
        self._retired += [_Retired(self.folder / file, version, now) for file in files]

    def oldest(self) -> int:
        """Return the version of the oldest manifest that is lent; not while another one is."""
        return min(self._lent, default=1 << 62)

    def sweep(self, oldest: int) -> None:
        """Remove what no manifest from `oldest` on has; no segment may be written meanwhile: its directory might go."""
        until = self.clock() - self.delay_s
        for one in [one for one in self._retired if one.version <= oldest and one.since <= until]:
            try:
                one.path.unlink(missing_ok=True)
            except OSError:  # later, then
                continue
            with suppress(OSError):  # its hour, or its day, has others
                one.path.parent.rmdir()
                one.path.parent.parent.rmdir()
            self._retired.remove(one)
