"""How far a store was shipped: a small file that is replaced as a whole, and held by one shipper at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import orjson

from plumbing.private_files import lock_file, write_file


class ProgressDamaged(Exception):
    """The file does not say how far the store was shipped, or says it of another: it needs a person."""


class ShipperBusy(Exception):
    """Another process ships this store to there."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What was shipped of one store: the events before the place `next`."""

    store: str
    next: int = 0
    sending: int = 0
    """Behind `next`: events up to this place are on their way, or were when the process ended. Else 0."""
    events: int = 0
    """How many there were."""
    missing: int = 0
    """Places without an event: removed by retention, set aside as damaged, or never given to one."""


class ProgressFile:
    """The file at a path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from shipping by this file for the time of the block; ShipperBusy if one does."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = lock_file(self.path.with_name(f"{self.path.name}.lock"))
        except BlockingIOError as error:
            raise ShipperBusy(f"another process ships by {self.path}") from error
        try:
            yield
        finally:
            os.close(handle)

    def read(self, store: str) -> Progress:
        """Return how far the store of this id was shipped. ProgressDamaged, naming the file, if it does not say so."""
        try:
            found = parse(self.path.read_bytes())
        except FileNotFoundError:
            return Progress(store)
        except (OSError, ValueError) as error:
            raise ProgressDamaged(
                f"{self.path} does not say how far the store was shipped: {error}; without it, all is shipped again"
            ) from error
        if found.store != store:
            raise ProgressDamaged(
                f"{self.path} is of the store {found.store}, and this is {store}; without it, all of this is shipped"
            )
        return found

    def write(self, progress: Progress) -> None:
        """Put it on disk; OSError leaves what was there."""
        write_file(self.path, orjson.dumps(asdict(progress)))


def parse(content: bytes) -> Progress:
    """Read what `write` wrote; ValueError for anything else."""
    said = orjson.loads(content)
    if not isinstance(said, dict) or set(said) != {field.name for field in fields(Progress)}:
        raise ValueError("it says something else")
    numbers = [value for name, value in said.items() if name != "store"]
    if not isinstance(said["store"], str) or any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("it says something else")
    return Progress(**said)
