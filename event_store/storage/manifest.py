"""MANIFEST.json: which segments there are, and up to where they hold the events. Replaced as a whole, with a checksum.

It is what makes a segment part of the store: a file it does not name is none. Names of sources, and sets of columns,
stand in it once, however many segments have them.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson
from xxhash import xxh3_64_hexdigest

from event_store.storage.errors import StoreDamaged
from plumbing.private_files import write_file

NAME = "MANIFEST.json"
_FORM = 1
_START = b'{"checksum":"%s","manifest":'
_START_BYTES = len(_START % (16 * b"0"))


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of events that never changes, and what a query needs to know to pass it over."""

    file: str
    """Relative to the folder of the store."""
    level: int
    """0 as flushed, 1 as compacted."""
    rows: int
    bytes: int
    min_time: int
    """Nanoseconds; both ends are events of it."""
    max_time: int
    min_seq: int
    max_seq: int
    checksum: str
    """xxh3_64 of the whole file."""
    columns: frozenset[str]
    sources: frozenset[str] | None
    """The source_ids in it; None if they are too many to be listed."""
    key: str = ""
    """What the key is called that it is sealed with, and what lies beside it; empty if it is not."""
    index_bytes: int = 0
    """Of the file beside it; 0 if there is none."""
    index_checksum: str = ""

    @property
    def index_file(self) -> str:
        """What lies beside it: which events may have a word, and which values it has."""
        return f"{self.file.removesuffix('.parquet')}.index"

    @property
    def bytes_on_disk(self) -> int:
        """What both files have."""
        return self.bytes + self.index_bytes


@dataclass(frozen=True, slots=True)
class Gone:
    """What was not to be kept any longer, since the store began."""

    events: int = 0
    segments: int = 0
    """Those that went as a whole."""
    bytes: int = 0
    """What they had."""

    def __add__(self, other: Gone) -> Gone:
        return Gone(self.events + other.events, self.segments + other.segments, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Manifest:
    """What a store consists of, at one version."""

    id: int
    """What the checksums in the log start from: bytes that somebody sends us never look like a frame of ours."""
    version: int = 0
    flushed: int = 0
    """Events whose `seq` is less are in the segments, if they are anywhere; the others are in the log."""
    segments: tuple[Segment, ...] = ()
    """The newest last."""
    gone: Gone = Gone()

    @classmethod
    def new(cls) -> Manifest:
        """Begin a store."""
        return cls(secrets.randbits(64))

    def changed(
        self,
        *,
        add: Iterable[Segment] = (),
        remove: Collection[str] = (),
        flushed: int | None = None,
        gone: Gone = Gone(),
    ) -> Manifest:
        """Make the next version, without the files in `remove`; `gone` is what went since the last one."""
        kept = (segment for segment in self.segments if segment.file not in remove)
        segments = tuple(sorted((*kept, *add), key=lambda segment: (segment.max_time, segment.min_seq)))
        flushed = self.flushed if flushed is None else flushed
        return replace(self, version=self.version + 1, flushed=flushed, segments=segments, gone=self.gone + gone)


def load(folder: Path) -> Manifest | None:
    """Read the manifest in `folder`, None if there is none; StoreDamaged if it is not what was written."""
    path = folder / NAME
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StoreDamaged(
            f"{path} is not what the store wrote, put one from a backup in its place: {error}"
        ) from error


def save(folder: Path, manifest: Manifest) -> None:
    """Put `manifest` in the place of the one before, on disk when this returns; OSError leaves the one before."""
    write_file(folder / NAME, form(manifest))


def form(manifest: Manifest) -> bytes:
    """Make the bytes of the file."""
    names: dict[str, int] = {}
    schemas: dict[frozenset[str], int] = {}
    body = orjson.dumps(
        {
            "form": _FORM,
            "id": f"{manifest.id:016x}",
            "version": manifest.version,
            "flushed": manifest.flushed,
            "gone": asdict(manifest.gone),
            "segments": [_entry(segment, names, schemas) for segment in manifest.segments],
            "names": list(names),
            "schemas": [sorted(columns) for columns in schemas],
        }
    )
    return _START % xxh3_64_hexdigest(body).encode() + body + b"}"


def parse(content: bytes) -> Manifest:
    """Read the bytes of the file; ValueError if they are not what `form` made."""
    body = content[_START_BYTES:-1]
    if content != _START % xxh3_64_hexdigest(body).encode() + body + b"}":
        raise ValueError("its checksum is wrong")
    try:
        said = orjson.loads(body)
        if said["form"] != _FORM:
            raise ValueError(f"it is of form {said['form']}, and this version reads form {_FORM}")
        schemas = [frozenset(columns) for columns in said["schemas"]]
        segments = tuple(_segment(entry, said["names"], schemas) for entry in said["segments"])
        return Manifest(int(said["id"], 16), said["version"], said["flushed"], segments, Gone(**said["gone"]))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"something is missing: {error!r}") from error


def _entry(segment: Segment, names: dict[str, int], schemas: dict[frozenset[str], int]) -> dict[str, Any]:
    sources = segment.sources
    index = {"index": [segment.index_bytes, segment.index_checksum]} if segment.index_bytes else {}
    return {
        "file": segment.file,
        "level": segment.level,
        "rows": segment.rows,
        "bytes": segment.bytes,
        "time": [segment.min_time, segment.max_time],
        "seq": [segment.min_seq, segment.max_seq],
        "checksum": segment.checksum,
        "key": segment.key,
        "columns": schemas.setdefault(segment.columns, len(schemas)),
        "sources": None if sources is None else [names.setdefault(name, len(names)) for name in sorted(sources)],
        **index,
    }


def _segment(entry: dict[str, Any], names: list[str], schemas: list[frozenset[str]]) -> Segment:
    sources = entry["sources"]
    index_bytes, index_checksum = entry.get("index", (0, ""))
    return Segment(
        file=entry["file"],
        level=entry["level"],
        rows=entry["rows"],
        bytes=entry["bytes"],
        min_time=entry["time"][0],
        max_time=entry["time"][1],
        min_seq=entry["seq"][0],
        max_seq=entry["seq"][1],
        checksum=entry["checksum"],
        key=entry["key"],
        columns=schemas[entry["columns"]],
        sources=None if sources is None else frozenset(names[place] for place in sources),
        index_bytes=index_bytes,
        index_checksum=index_checksum,
    )
