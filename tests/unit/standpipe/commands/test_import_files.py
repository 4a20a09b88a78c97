"""`standpipe store import`: what it brings in, says and refuses."""

from __future__ import annotations

import errno
import json
import os
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer

from event_store.storage import Reader, StorageSettings, Store, recovery
from standpipe.commands.import_files import LogStream, import_files
from standpipe.errors import CommandFailed
from tests.unit.event_store.storage.events import key_file, rows_of

TEN_NS = 1_795_165_200 * 10**9
"""2026-11-20 10:00 in Berlin."""
HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS
Output = pytest.CaptureFixture[str]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "shop.log.1"
    path.write_bytes(b"2026-11-20 10:00:00 started user=7\n\tat x\nNov 20 11:00:00 \xff\n")
    return path


def rows(data_dir: Path, **more: Any) -> list[dict[str, Any]]:
    return rows_of(Reader.open(data_dir / "events", **more).snapshot())


def test_lines_are_in_the_store_as_they_say(log: Path, tmp_path: Path, capsys: Output) -> None:
    import_files([log], timezone="Europe/Berlin", tag=["host=a"], year=2025, data_dir=tmp_path, as_json=True)
    told = json.loads(capsys.readouterr().out)
    first, second, third = rows(tmp_path)

    assert (first["source_id"], first["instance_id"], first["stream"], first["t_host"]) == ("shop", "0", "OUT", "a")
    assert (first["f_user$num"], first["time"], second["time"]) == (7, TEN_NS, TEN_NS)
    assert (third["time"], third["message_raw"]) == (TEN_NS - 364 * DAY_NS - 23 * HOUR_NS, b"Nov 20 11:00:00 \xff")
    assert {name: told[name] for name in ("files", "lines", "undated", "events", "unfit", "failed")} == {
        "files": 1, "lines": 3, "undated": 1, "events": 3, "unfit": 0, "failed": []
    }  # fmt: skip


def test_the_options_are_heeded(log: Path, tmp_path: Path, capsys: Output) -> None:
    keys = key_file(tmp_path / "keys", b"k")
    import_files(
        [log], "web", "3", stream=LogStream.ERR, join=True, parse_fields=False, data_dir=tmp_path, key_file=keys
    )
    first, _ = rows(tmp_path, key_file=keys)

    assert (first["source_id"], first["instance_id"], first["stream"]) == ("web", "3", "ERR")
    assert first["message"].endswith("user=7\n\tat x")
    assert "f_user$num" not in first
    assert capsys.readouterr().out.split()[:2] == ["files", "lines"]
    with pytest.raises(CommandFailed, match="sealed"):
        import_files([log], data_dir=tmp_path)


def test_what_is_not_in_the_store_ends_with_1(log: Path, tmp_path: Path, capsys: Output) -> None:
    broken = tmp_path / "broken.gz"
    broken.write_bytes(b"\x1f\x8b nothing")
    with pytest.raises(typer.Exit) as ended:
        import_files([broken, log], data_dir=tmp_path)

    assert ended.value.exit_code == 1
    assert f"{broken}: " in capsys.readouterr().err
    assert len(rows(tmp_path)) == 3


def test_a_signal_that_comes_when_all_is_in_the_store_ends_nothing(
    log: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = Store.close

    def interrupted(store: Store) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        close(store)

    monkeypatch.setattr(Store, "close", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
    try:
        import_files([log], data_dir=tmp_path, as_json=True)
        assert json.loads(capsys.readouterr().out)["events"] == 3
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_store_that_runs_is_left_alone(log: Path, tmp_path: Path) -> None:
    with (
        closing(Store.open(tmp_path / "events", StorageSettings())),
        pytest.raises(CommandFailed, match=r"another process writes.*stop it first, or .* standpipe emit"),
    ):
        import_files([log], data_dir=tmp_path)


def test_a_folder_of_something_else_is_left_alone(log: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no store in"):
        import_files([log], events_dir=tmp_path)
    assert list(tmp_path.iterdir()) == [log]


def test_a_store_that_was_being_made_when_the_disk_was_full_is_made(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "save", full)
        with pytest.raises(CommandFailed, match=r"cannot open the store in .*events.*No space"):
            import_files([log], data_dir=tmp_path)
    import_files([log], data_dir=tmp_path)
    assert len(rows(tmp_path)) == 3


@pytest.mark.parametrize(
    "wrong", [{"timezone": "Mars/Olympus"}, {"timezone": "/etc"}, {"time_format": "%Q"}, {"tag": ["x"]}]
)
def test_a_wrong_option_is_named_before_anything_is_done(wrong: Any, log: Path, tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter):
        import_files([log], data_dir=tmp_path, **wrong)
    assert list(tmp_path.iterdir()) == [log]


def test_a_file_that_is_not_there_is_named_before_anything_is_done(log: Path, tmp_path: Path) -> None:
    for missing, what in (
        ("none", "no file"),
        (".", "no file"),
        ("a" * 300, "too long"),
    ):
        with pytest.raises(typer.BadParameter, match=what):
            import_files([log, tmp_path / missing], data_dir=tmp_path)
    assert list(tmp_path.iterdir()) == [log]
