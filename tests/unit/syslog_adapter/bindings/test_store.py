import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from syslog_adapter.binding import Binding
from syslog_adapter.bindings.errors import SourceUnavailable
from syslog_adapter.bindings.store import DrainStore, StoreBindings, StoreError

ONE = Binding(url="syslog://a:1", source_id="app", hostname="host")


def test_what_is_added_is_there_and_nobody_else_s_to_read(tmp_path: Path) -> None:
    store = DrainStore(tmp_path / "new")

    assert store.add(ONE)
    assert not store.add(ONE)

    assert store.list() == (ONE,)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_one_of_the_same_source_and_url_is_replaced(tmp_path: Path) -> None:
    store = DrainStore(tmp_path)
    store.add(ONE)
    other = Binding(url=ONE.url, source_id="app", hostname="other")

    assert store.add(other)
    assert store.list() == (other,)


def test_one_url_of_a_source_or_all_are_removed(tmp_path: Path) -> None:
    store = DrainStore(tmp_path)
    for url in ("syslog://a:1", "syslog://b:1", "syslog://c:1"):
        store.add(Binding(url=url, source_id="app"))

    assert [each.url for each in store.remove("app", "syslog://b:1")] == ["syslog://b:1"]
    assert len(store.remove("app")) == 2
    assert store.remove("app") == ()
    assert store.list() == ()


def test_nothing_is_lost_when_many_write_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: DrainStore(tmp_path).add(Binding(url=f"syslog://h{n}:1", source_id="app")), range(24)))

    assert len(DrainStore(tmp_path).list()) == 24


def test_a_file_that_makes_no_sense_is_not_overwritten(tmp_path: Path) -> None:
    store = DrainStore(tmp_path)
    store.path.write_text("{")

    with pytest.raises(StoreError, match=r"drains\.json"):
        store.add(ONE)
    assert store.path.read_text() == "{"


async def test_it_is_a_source_of_bindings(tmp_path: Path) -> None:
    source = StoreBindings(tmp_path, 1.0)
    assert await source.read() == ()

    DrainStore(tmp_path).add(ONE)
    assert await source.read() == (ONE,)

    DrainStore(tmp_path).path.write_text("{")
    with pytest.raises(SourceUnavailable):
        await source.read()
