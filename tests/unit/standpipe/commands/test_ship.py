"""`standpipe store ship` and `export`: what they move, what they say, and what they refuse."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import typer

from event_store.events import to_events
from event_store.storage import StorageSettings, Store
from standpipe.commands.ship import export, ship
from standpipe.errors import CommandFailed
from tests.fakes.clickhouse import FakeClickHouse, Remembering
from tests.fakes.http_receiver import Said
from tests.unit.event_store.clickhouse.running import PASSWORD, TABLE, clickhouse, password_file
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


@pytest.fixture
def server() -> Iterator[FakeClickHouse]:
    with clickhouse(Remembering(), user="writer", password=PASSWORD) as server:
        yield server


def test_segments_are_shipped_once(data_dir: Path, server: FakeClickHouse, capsys: Output) -> None:
    for _ in range(2):
        ship(server.url, "writer", password_file(data_dir), data_dir=data_dir, as_json=True)
        assert json.loads(capsys.readouterr().out) == {"shipped": 3, "missing": 0, "next": 3, "damaged": []}

    assert isinstance(server.engine, Remembering)
    assert [row["message"] for row in server.engine.rows[TABLE]] == ["1", "2", "3"]
    assert server.engine.inserts == 1


def test_who_is_not_let_in_is_told_where(data_dir: Path, server: FakeClickHouse) -> None:
    with pytest.raises(CommandFailed, match=r"127\.0\.0\.1:\d+: HTTP 403"):
        ship(server.url, data_dir=data_dir)


def test_what_cannot_be_sent_is_sent_the_next_time(data_dir: Path, server: FakeClickHouse, capsys: Output) -> None:
    server.before = lambda _: Said(404, b"Code: 81. DB::Exception: Database x does not exist")
    with pytest.raises(CommandFailed, match="Database x does not exist"):
        ship(server.url, "writer", password_file(data_dir), data_dir=data_dir)
    server.before = lambda _: None
    ship(server.url, "writer", password_file(data_dir), data_dir=data_dir)

    assert "shipped" in capsys.readouterr().out


@pytest.mark.parametrize("url", ["clickhouse", "https://a:b@ch:8443"])
def test_a_bad_url_is_named_and_not_repeated(url: str, data_dir: Path) -> None:
    with pytest.raises(CommandFailed, match=r"^url: ") as refused:
        ship(url, data_dir=data_dir)
    assert "a:b" not in str(refused.value)


def test_a_delta_table_gets_what_is_new(data_dir: Path, capsys: Output) -> None:
    pytest.importorskip("deltalake", reason="an extra")
    seen = []
    for _ in range(2):
        export(str(data_dir / "lake"), data_dir=data_dir, as_json=True)
        seen.append(json.loads(capsys.readouterr().out))

    assert seen == [
        {"exported": 3, "commits": 1, "version": 0, "damaged": []},
        {"exported": 0, "commits": 0, "version": 0, "damaged": []},
    ]


@pytest.mark.parametrize("harm", [lambda path: flip(path, 1000), lambda path: os.truncate(path, 100)])
def test_what_is_damaged_is_named_and_the_rest_goes_on(
    harm: Callable[[Path], None], tmp_path: Path, server: FakeClickHouse, capsys: Output
) -> None:
    with closing(Store.open(tmp_path / "events", StorageSettings())) as store:
        for line in "123":
            store.append([to_events(logs(line))])
            store.flush()
    segment = store.segments()[1]
    harm(store.folder / segment.file)
    assert isinstance(server.engine, Remembering)

    with pytest.raises(typer.Exit) as ended:
        ship(server.url, "writer", password_file(tmp_path), data_dir=tmp_path, as_json=True)
    said = capsys.readouterr()
    figures = json.loads(said.out)
    (damage,) = figures.pop("damaged")

    assert (ended.value.exit_code, figures) == (1, {"shipped": 2, "missing": 1, "next": 3})
    assert (damage["file"], damage["events"]) == (segment.file, 1)
    assert f"standpipe: {segment.file} is damaged, and passed over: {damage['what']} (events: 1)\n" in said.err
    assert [row["message"] for row in server.engine.rows[TABLE]] == ["1", "3"]


def test_a_delta_table_gets_what_is_not_damaged(tmp_path: Path, capsys: Output) -> None:
    pytest.importorskip("deltalake", reason="an extra")
    with closing(Store.open(tmp_path / "events", StorageSettings())) as store:
        for line in "123":
            store.append([to_events(logs(line))])
            store.flush()
    segment = store.segments()[0]
    flip(store.folder / segment.file, 1000)

    with pytest.raises(typer.Exit):
        export(str(tmp_path / "lake"), data_dir=tmp_path)
    said = capsys.readouterr()
    assert said.out.split() == ["exported", "commits", "version", "damaged", "2", "1", "0", "1"]
    assert segment.file in said.err


def test_without_a_store_there_is_nothing_to_ship(tmp_path: Path) -> None:
    for work in (lambda: export(str(tmp_path), data_dir=tmp_path), lambda: ship("http://ch", data_dir=tmp_path)):
        with pytest.raises(CommandFailed, match="no store in"):
            work()


def test_a_sealed_store_needs_its_key(tmp_path: Path, server: FakeClickHouse, capsys: Output) -> None:
    key = tmp_path / "keys"
    key.touch(0o600)
    key.write_text("5a" * 32)
    with closing(Store.open(tmp_path / "events", StorageSettings(key_file=key))) as store:
        store.append([to_events(logs("1"))])
        store.flush()
    with pytest.raises(CommandFailed, match="key"):
        ship(server.url, "writer", password_file(tmp_path), data_dir=tmp_path)
    ship(server.url, "writer", password_file(tmp_path), data_dir=tmp_path, key_file=key, as_json=True)

    assert json.loads(capsys.readouterr().out)["shipped"] == 1
