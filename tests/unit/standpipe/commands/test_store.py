"""`standpipe store`: what is on disk, counted and checked, whether the store runs or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from event_store.events import to_events
from event_store.storage import StorageSettings, Store
from standpipe.commands.store import compact, stats, verify
from standpipe.errors import CommandFailed
from tests.unit.event_store.storage.events import flip
from tests.unit.plumbing.gathering.arrivals import logs

Output = pytest.CaptureFixture[str]


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory with a store that is open: three events in a segment, two in the log."""
    store = Store.open(tmp_path / "events", StorageSettings())
    store.append([to_events(logs("1", "2", "3"))])
    store.flush()
    store.append([to_events(logs("4", "5"))])
    yield tmp_path
    store.close()


def spoil(data_dir: Path) -> Path:
    """Turn a bit over in the middle of the segment."""
    (segment,) = (data_dir / "events").rglob("*.parquet")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    return segment


def test_what_there_is_is_counted(data_dir: Path, capsys: Output) -> None:
    stats(data_dir=data_dir, as_json=True)
    counted = json.loads(capsys.readouterr().out)

    assert (counted["events"], counted["segments"], counted["hot_events"], counted["damaged"]) == (5, 1, 2, [])
    assert counted["oldest"] == counted["newest"] == "1970-01-01T00:00:00.000000001Z"
    assert (counted["segment_bytes"] > 0, counted["hot_bytes"] > 0, counted["columns"] > 10) == (True, True, True)


def test_the_counts_are_shown_to_people(data_dir: Path, capsys: Output) -> None:
    stats(events_dir=data_dir / "events")
    rows = dict(line.strip().split("   ", 1) for line in capsys.readouterr().out.splitlines() if line.strip())

    shown = {name: text.strip() for name, text in rows.items()}
    assert (shown["events"], shown["segments"], shown["hot events"], shown["damaged"]) == ("5", "1", "2", "0")
    assert shown["folder"] == str(data_dir / "events")


def test_an_empty_store_has_no_oldest_event(tmp_path: Path, capsys: Output) -> None:
    Store.open(tmp_path / "events", StorageSettings()).close()
    stats(data_dir=tmp_path, as_json=True)
    counted = json.loads(capsys.readouterr().out)

    assert (counted["events"], counted["oldest"], counted["newest"]) == (0, None, None)


def test_what_is_as_it_was_written_is_said_to_be_sound(data_dir: Path, capsys: Output) -> None:
    verify(data_dir=data_dir)
    assert capsys.readouterr().out.split() == ["segments", "damaged", "1", "0"]


def test_what_is_damaged_is_named_and_left_where_it_is(data_dir: Path, capsys: Output) -> None:
    segment = spoil(data_dir)
    with pytest.raises(typer.Exit) as ended:
        verify(data_dir=data_dir, as_json=True)
    told = json.loads(capsys.readouterr().out)
    with pytest.raises(typer.Exit):
        verify(data_dir=data_dir)

    assert ended.value.exit_code == 1
    assert [(each["events"], each["what"]) for each in told["damaged"]] == [(3, "its checksum is wrong")]
    assert segment.name in capsys.readouterr().out
    assert segment.exists()


def test_a_damaged_index_is_named_with_what_makes_it_anew(tmp_path: Path, capsys: Output) -> None:
    store = Store.open(tmp_path / "events", StorageSettings())
    store.append([to_events(logs("1", "2", "3"))])
    store.flush()
    store.close()
    (segment,) = store.segments()
    flip(store.folder / segment.index_file, segment.index_bytes // 2)

    with pytest.raises(typer.Exit) as ended:
        verify(data_dir=tmp_path, as_json=True)
    told = json.loads(capsys.readouterr().out)
    with pytest.raises(typer.Exit):
        verify(data_dir=tmp_path)
    shown = capsys.readouterr().out
    compact(data_dir=tmp_path)
    verify(data_dir=tmp_path)

    assert ended.value.exit_code == 1
    assert (told["segments"], told["damaged"]) == (1, [])
    (index,) = told["damaged_indexes"]
    assert (index["file"], index["events"]) == (segment.index_file, 0)
    assert index["what"] == (
        "its checksum is wrong; a store that runs makes it anew, and so does standpipe store compact"
    )
    assert Path(segment.index_file).name in shown
    assert "standpipe store compact" in shown


def test_where_no_store_is_that_is_said(tmp_path: Path) -> None:
    for command in (stats, verify, compact):
        with pytest.raises(CommandFailed, match="no store in"):
            command(data_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_segments_are_joined_and_sealed_when_the_store_does_not_run(tmp_path: Path, capsys: Output) -> None:
    keys = tmp_path / "keys"
    keys.write_text("ab" * 32)
    keys.chmod(0o600)
    store = Store.open(tmp_path / "events", StorageSettings())
    for line in "123":
        store.append([to_events(logs(line))])
        store.flush()
    with pytest.raises(CommandFailed, match="another process writes"):
        compact(data_dir=tmp_path)
    store.close()

    compact(data_dir=tmp_path, as_json=True)
    told = json.loads(capsys.readouterr().out)
    compact(data_dir=tmp_path)
    assert (told["joined"], told["segments_before"], told["segments"]) == (3, 3, 1)
    assert capsys.readouterr().out.split()[:5] == ["joined", "segments", "segment_bytes", "0", "1"]
    compact(data_dir=tmp_path, key_file=keys)
    with pytest.raises(CommandFailed, match="is sealed with the key"):
        compact(data_dir=tmp_path)
    verify(data_dir=tmp_path, key_file=keys)
