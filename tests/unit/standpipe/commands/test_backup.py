"""`standpipe store backup`: what it says, and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from event_store.storage import Reader
from standpipe.commands.backup import backup
from standpipe.commands.store import verify
from standpipe.errors import CommandFailed
from tests.unit.event_store.storage.events import events, flip, numbers_in, opened

Output = pytest.CaptureFixture[str]


def filled(data_dir: Path) -> None:
    store = opened(data_dir / "events")
    store.append([events(range(3))])
    store.flush()
    store.append([events([3, 4])])
    store.close()


def test_a_copy_is_a_store(tmp_path: Path, capsys: Output) -> None:
    filled(tmp_path)
    backup(tmp_path / "copy", data_dir=tmp_path, as_json=True)
    first = json.loads(capsys.readouterr().out)
    backup(tmp_path / "copy", data_dir=tmp_path)
    shown = capsys.readouterr().out

    assert (first["segments"], first["copied"] > 0, first["removed"], first["damaged"]) == (1, True, 0, [])
    assert shown.split()[:2] == ["segments", "copied"]
    verify(events_dir=tmp_path / "copy")
    assert numbers_in(Reader.open(tmp_path / "copy").snapshot()) == [0, 1, 2, 3, 4]


def test_what_is_damaged_ends_with_1(tmp_path: Path, capsys: Output) -> None:
    filled(tmp_path)
    (segment,) = (tmp_path / "events").rglob("*.parquet")
    flip(segment, 100)
    with pytest.raises(typer.Exit) as ended:
        backup(tmp_path / "copy", data_dir=tmp_path)

    assert ended.value.exit_code == 1
    assert "its checksum is wrong: its 3 events are not in the copy" in capsys.readouterr().err


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no store in"):
        backup(tmp_path / "copy", data_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []
    filled(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes").touch()
    with pytest.raises(CommandFailed, match="no backup of a store"):
        backup(tmp_path / "other", data_dir=tmp_path)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes"]
