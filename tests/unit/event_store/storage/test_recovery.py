"""What is found when a store is opened again, whatever happened to its files."""

import errno
import os
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_store.storage import StorageSettings, Store, StoreDamaged, StoreLocked
from event_store.storage.manifest import NAME
from event_store.storage.recovery import recover
from event_store.storage.wal import files, scan
from tests.unit.event_store.storage.events import events, flip, key_file, numbers_in, opened


def filled(folder: Path, appends: int = 4) -> Path:
    """Append ten events each time, and return the file of the log that has them."""
    with closing(opened(folder)) as store:
        for number in range(appends):
            store.append([events(range(number * 10, number * 10 + 10))], b"mark %d" % number)
    ((_, path),) = files(folder / "wal")
    return path


def held(folder: Path) -> tuple[list[int], list[str]]:
    """Open the store, and say which events it has, and what it found damaged."""
    with closing(opened(folder)) as store:
        return numbers_in(store.snapshot()), [damage.what for damage in store.stats().damages]


def but(*lost: int) -> list[int]:
    return [number for number in range(40) if number // 10 not in lost]


def test_a_folder_becomes_a_store(tmp_path: Path) -> None:
    recovered = recover(tmp_path, None)

    assert recovered.next_seq == 0
    assert recovered.hot.rows == 0
    assert {path.name for path in tmp_path.iterdir()} == {NAME, "wal", "segments"}


def test_what_is_in_the_log_is_there_again(tmp_path: Path) -> None:
    filled(tmp_path)

    assert held(tmp_path) == (but(), [])
    recovered = recover(tmp_path, None)
    assert recovered.marks == [b"mark 0", b"mark 1", b"mark 2", b"mark 3"]
    assert recovered.next_seq == 40


def test_a_torn_frame_is_cut_off_and_nobodys_loss(tmp_path: Path) -> None:
    path = filled(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:300])

    assert held(tmp_path) == (but(), [])
    assert path.read_bytes() == whole


def test_a_flipped_bit_costs_one_frame_and_is_set_aside(tmp_path: Path) -> None:
    path = filled(tmp_path)
    starts = [one.offset for one in scan(path, recover(tmp_path, None).manifest.id)]
    whole = path.read_bytes()

    for place in range(0, len(whole), 211):
        path.write_bytes(whole)
        flip(path, place)
        hit = sum(start <= place for start in starts) - 1
        aside = tmp_path / "quarantine" / f"wal_{path.name}.{starts[hit]}"
        numbers, damages = held(tmp_path)
        assert numbers == but(hit)
        assert len(damages) == 1
        assert aside.read_bytes() == path.read_bytes()[starts[hit] : (*starts, len(whole))[hit + 1]]


def test_no_place_is_given_twice_when_the_end_of_the_log_is_gone(tmp_path: Path) -> None:
    path = filled(tmp_path)
    flip(path, path.stat().st_size - 1)
    with closing(opened(tmp_path)) as store:
        store.append([events([99])])
        (*_, last) = (batch.column("seq")[-1].as_py() for batch in store.snapshot().hot)

    assert last >= 40


def test_what_cannot_be_set_aside_does_not_hinder(tmp_path: Path) -> None:
    flip(filled(tmp_path), 200)
    (tmp_path / "quarantine").write_text("a file, and no folder")

    assert held(tmp_path)[0] == but(0)


def test_a_damaged_segment_is_set_aside_and_the_rest_serves(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as store:
        for number in range(4):
            store.append([events(range(number * 10, number * 10 + 10))])
            store.flush()
        bad, gone = (store.snapshot().path(segment) for segment in store.snapshot().segments[1:3])
    os.truncate(bad, 50)
    gone.unlink()

    numbers, damages = held(tmp_path)

    assert numbers == but(1, 2)
    assert sorted(what.split(",")[0] for what in damages) == [
        *("it cannot be read: No such file or directory", "it has 50 bytes"),
    ]
    assert [path.stat().st_size for path in (tmp_path / "quarantine").glob("*.parquet")] == [50]
    assert held(tmp_path) == (but(1, 2), [])


def test_what_a_flush_left_that_was_cut_short_is_removed(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as store:
        store.append([events(range(40))])
        ((_, path),) = files(tmp_path / "wal")
        log = path.read_bytes()
        store.flush()
        (segment,) = store.snapshot().segments
    path.write_bytes(log)  # it was flushed, and not yet removed
    strays = [tmp_path / segment.file.replace("L0-", name) for name in ("L0-1", ".L0-")]
    for stray in strays:
        stray.write_bytes(b"half")

    assert held(tmp_path) == (but(), [])
    assert not any(stray.exists() for stray in (*strays, path))


def test_a_damaged_manifest_is_left_for_a_person(tmp_path: Path) -> None:
    filled(tmp_path)
    flip(tmp_path / NAME, 60)
    with pytest.raises(StoreDamaged, match=r"MANIFEST\.json is not what the store wrote"):
        opened(tmp_path)

    (tmp_path / NAME).unlink()
    with pytest.raises(StoreDamaged, match=r"holds events, and no MANIFEST\.json"):
        opened(tmp_path)
    assert len(files(tmp_path / "wal")) == 1


def test_what_is_sealed_is_left_alone_without_its_key(tmp_path: Path) -> None:
    settings = StorageSettings(key_file=key_file(tmp_path / "keys", b"k"))
    store = tmp_path / "store"
    with closing(Store.open(store, settings)) as first:
        first.append([events(range(40))], b"mark")
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    other = StorageSettings(key_file=key_file(tmp_path / "others", b"o"))
    for wrong in (StorageSettings(), other):
        with pytest.raises(StoreLocked, match=r"wal/.*\.wal"):
            Store.open(store, wrong)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
    with closing(Store.open(store, settings)) as again:
        assert numbers_in(again.snapshot()) == but()
        assert again.marks() == (b"mark",)


@settings(max_examples=40)
@given(st.binary(max_size=300), st.integers(0, 10**20 - 1), st.booleans())
def test_whatever_lies_in_the_log_the_store_opens_and_has_its_own(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, seq: int, behind: bool
) -> None:
    folder = tmp_path_factory.mktemp("store")
    path = filled(folder)
    if behind:
        path.write_bytes(path.read_bytes() + content)
    else:
        (folder / "wal" / f"{seq:020d}.wal").write_bytes(content)

    assert held(folder)[0] == but() or (not behind and seq == 0)


def test_what_no_manifest_names_is_removed(tmp_path: Path) -> None:
    filled(tmp_path)
    with closing(opened(tmp_path)) as store:
        store.flush()
        (segment,) = store.segments()
    beside = tmp_path / segment.index_file
    strays = [beside.with_name("L0-1-2-3.index"), beside.with_name(f".{beside.name}")]
    strays.append(tmp_path / "wal" / ".00000000000000000000.wal.new")
    for stray in strays:
        stray.touch()

    assert held(tmp_path) == (but(), [])
    assert [stray for stray in strays if stray.exists()] == []
    assert beside.exists()


def test_a_damaged_segment_is_kept_whenever_what_sets_it_aside_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path)
    with closing(opened(tmp_path)) as store:
        store.flush()
        (segment,) = store.segments()
    os.truncate(tmp_path / segment.file, 100)

    def die(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("event_store.storage.recovery.save", die)
        with pytest.raises(OSError, match="No space left"):
            recover(tmp_path, None)
    assert (tmp_path / segment.file).exists()
    with monkeypatch.context() as patch:
        patch.setattr("event_store.storage.recovery.let_go", die)
        with pytest.raises(OSError, match="No space left"):
            recover(tmp_path, None)

    assert held(tmp_path) == ([], [])
    kept = tmp_path / "quarantine" / segment.file.replace("/", "_")
    assert kept.stat().st_size == 100
    assert kept.with_suffix(".index").stat().st_size == segment.index_bytes


def test_what_is_read_in_the_log_is_on_disk_from_then_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filled(tmp_path)
    with path.open("ab") as file:
        file.write(b"torn")
    real, synced = os.fsync, []

    def note(handle: int) -> None:
        synced.append((os.fstat(handle).st_ino, os.fstat(handle).st_size))
        real(handle)

    monkeypatch.setattr(os, "fsync", note)
    recover(tmp_path, None)

    assert synced == [(path.stat().st_ino, path.stat().st_size)]
