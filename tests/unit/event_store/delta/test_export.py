"""A Delta table has each event once, and other engines read from it what the store has."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from event_store.delta import DeltaFailed, DeltaMissing, export
from event_store.sealed import Sealed
from event_store.storage import Store
from tests.unit.event_store.storage.events import events, opened, rows_of

deltalake = pytest.importorskip("deltalake", reason="an extra")
CHDB = "import sys, chdb; print(chdb.query(sys.argv[1]))"
COUNT = 'SELECT count(*), count(DISTINCT seq), min(time_ns), max(time_ns), count(t_app), sum("f_ms$num") FROM TABLE'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Three segments whose columns differ, and events that are in none."""
    with closing(opened(tmp_path / "store")) as store:
        for first, more in ((0, {}), (10, {"t_app": ["web"] * 10}), (20, {"f_ms_num": [0.5] * 10})):
            store.append([events(range(first, first + 10), **more)])
            store.flush()
        store.append([events(range(30, 33))])
        yield store


def sealed(store: Store) -> Sealed:
    return Sealed(store.folder, store.snapshot)


def in_delta(target: Path) -> list[dict[str, Any]]:
    found = deltalake.DeltaTable(target).to_pyarrow_table().sort_by("seq").drop_columns(["time"]).to_pylist()
    rows = [{name: value for name, value in row.items() if value is not None} for row in found]
    return [
        dict(sorted((("time" if name == "time_ns" else name), value) for name, value in row.items())) for row in rows
    ]


def test_the_table_has_what_the_segments_have(store: Store, tmp_path: Path) -> None:
    done = export(sealed(store), str(tmp_path / "lake"))

    assert (done.events, done.commits, done.place, done.version) == (30, 1, 30, 0)
    assert in_delta(tmp_path / "lake") == rows_of(store.snapshot())[:30]


def test_what_is_there_is_not_written_again(store: Store, tmp_path: Path) -> None:
    target, seen = str(tmp_path / "lake"), []
    export(sealed(store), target)
    assert export(sealed(store), target, on_commit=seen.append).events == 0
    store.append([events([33], t_zone=["z"])])
    store.flush()
    done = export(sealed(store), target, on_commit=seen.append)

    assert (done.events, done.place, done.version, seen) == (4, 34, 1, [done])
    assert in_delta(tmp_path / "lake") == rows_of(store.snapshot())


def test_another_store_may_go_into_the_same_table(store: Store, tmp_path: Path) -> None:
    export(sealed(store), str(tmp_path / "lake"))
    with closing(opened(tmp_path / "other")) as other:
        other.append([events([100])])
        other.flush()
        done = export(sealed(other), str(tmp_path / "lake"))

    assert done.events == 1
    assert len(in_delta(tmp_path / "lake")) == 31


def test_of_two_exports_at_once_one_fails_and_nothing_is_doubled(store: Store, tmp_path: Path) -> None:
    target = str(tmp_path / "lake")
    export(sealed(store), target)
    store.flush()

    class Late(Sealed):
        def read(self, start: int, end: int) -> Any:
            export(sealed(store), target)
            return super().read(start, end)

    with pytest.raises(DeltaFailed, match="lake: "):
        export(Late(store.folder, store.snapshot), target)
    assert len(in_delta(tmp_path / "lake")) == 33


def test_duckdb_and_polars_read_it(store: Store, tmp_path: Path) -> None:
    export(sealed(store), str(tmp_path / "lake"))
    times = [row["time"] for row in rows_of(store.snapshot())[:30]]
    lake = deltalake.DeltaTable(tmp_path / "lake").to_pyarrow_dataset()
    with closing(duckdb.connect()) as connection:
        connection.register("lake", lake)
        found = connection.sql(COUNT.replace("TABLE", "lake")).fetchall()

    assert found == [(30, 30, times[0], times[-1], 10, 5.0)]
    polars = pytest.importorskip("polars")
    assert polars.scan_delta(str(tmp_path / "lake")).collect().height == 30


@pytest.mark.slow
def test_clickhouse_reads_it(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("chdb", reason="ClickHouse as a library is big, and is installed by hand")
    export(sealed(store), str(tmp_path / "lake"))
    times = [row["time"] for row in rows_of(store.snapshot())[:30]]
    sql = COUNT.replace("TABLE", f"deltaLakeLocal('{tmp_path / 'lake'}')")
    found = subprocess.run([sys.executable, "-c", CHDB, sql], cwd=tmp_path, capture_output=True, text=True)

    assert (found.stderr, found.stdout.strip()) == ("", f"30,30,{times[0]},{times[-1]},10,5")


def test_without_the_library_it_says_what_to_install(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(DeltaMissing, match=r"standpipe\[delta\]"):
        export(sealed(store), str(tmp_path / "lake"))
