"""A folder of events on a disk that damages files at random, and on one that is truly full: the rest is there, once."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from event_store.storage import Store, StoreFull
from tests.unit.event_store.storage.events import events, flip, numbers_in, opened

PART = 20
"""Events of one append."""
HARMS = ("flip", "cut", "remove")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 32 MiB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(disk)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("only who may mount has a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("rounds", [10, pytest.param(1000, marks=(pytest.mark.slow, pytest.mark.timeout(1800)))])
def test_whatever_is_damaged_is_told_and_all_else_is_there_once(tmp_path: Path, rounds: int) -> None:
    print(f"seed {(seed := time.time_ns())}")
    chance, told, lost = random.Random(seed), 0, 0
    whole = tmp_path / "whole"
    with closing(opened(whole)) as store:
        for number in range(12):
            store.append([events(range(number * PART, number * PART + PART))])
            if number in (1, 3, 5, 7):
                store.flush()
        everything = numbers_in(store.snapshot())

    for number in range(rounds):
        folder = shutil.copytree(whole, tmp_path / f"harmed-{number}")
        for path in chance.sample(kept(folder), chance.randint(1, 3)):
            harm(path, chance)
        with closing(opened(folder)) as store:
            store.verify()
            damages, there = store.stats().damages, numbers_in(store.snapshot())
            assert len(set(there)) == len(there)
            assert set(there) <= set(everything)
            assert all(len(set(there) & part) in (0, PART) for part in parts())
            told, lost = told + len(damages), lost + len(everything) - len(there)
            assert sum(each.events or 0 for each in damages) <= len(everything) - len(there)
            segments = [each for each in damages if each.file.endswith(".parquet")]
            assert len(set(there) & set(range(8 * PART))) == 8 * PART - sum(each.events or 0 for each in segments)
            store.append([events([9999])])
            assert numbers_in(store.snapshot()) == [*there, 9999]
            assert all(each.file.endswith(".index") for each in store.verify())  # until it is compacted
        shutil.rmtree(folder)
    print(f"seen: {rounds} harmed folders, {told} damages told, {lost} events lost with them, all others there once")


def kept(folder: Path) -> list[Path]:
    """The files that hold events, and what lies beside them."""
    return sorted(path for part in ("segments", "wal") for path in (folder / part).rglob("*") if path.is_file())


def parts() -> list[set[int]]:
    return [set(range(number * PART, number * PART + PART)) for number in range(12)]


def harm(path: Path, chance: random.Random) -> None:
    """Flip a bit of a file, cut it, or take it away."""
    match chance.choice(HARMS):
        case "flip":
            flip(path, chance.randrange(path.stat().st_size))
        case "cut":
            os.truncate(path, chance.randrange(path.stat().st_size))
        case _:
            path.unlink()


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=(pytest.mark.slow, pytest.mark.timeout(1800)))])
def test_on_a_disk_that_is_truly_full_nothing_is_lost_and_all_goes_on_with_room(small_disk: Path, rounds: int) -> None:
    folder = small_disk / "events"
    number, store = 0, opened(folder)
    for turn in range(rounds):
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(room(small_disk) - 200_000))
        with pytest.raises(StoreFull, match="cannot write to the store"):
            while True:
                append(store, number)
                number += 1
        with suppress(StoreFull):
            store.flush()
        assert numbers_in(store.snapshot()) == list(range(number))
        if turn % 2:  # as after a restart while it is full
            store.close()
            store = opened(folder)
        ballast.unlink()
        append(store, number)
        number += 1
        store.flush()
        assert numbers_in(store.snapshot()) == list(range(number))
    assert store.verify() == store.stats().damages == ()
    store.close()
    print(f"seen: a disk that was full {rounds} times, {number} events kept, none lost or doubled")


def append(store: Store, number: int) -> None:
    store.append([events([number], t_long=[os.urandom(10_000).hex()])])


def room(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize
