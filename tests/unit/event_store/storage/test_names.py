import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.engine import Engine
from event_store.storage import Store, names
from event_store.storage.names import Names
from tests.unit.event_store.engine.stores import asked
from tests.unit.event_store.storage.events import SETTINGS, events, rows_of
from tests.unit.event_store.storage.test_overflow import said

spellings = st.sampled_from(["t_app", "t_App", "t_APP", "f_zone", "f_app", "f_App", "f_APP_num", "f_Zone_num"])


@given(st.lists(st.dictionaries(spellings, st.integers(0, 3), min_size=1), min_size=1, max_size=5))
def test_no_two_columns_differ_by_case_alone_and_nothing_is_lost(tables: list[dict[str, int]]) -> None:
    known = Names(())
    given_ = [events([1], **{k: [v if k.endswith("_num") else str(v)] for k, v in table.items()}) for table in tables]

    settled = [known.settled(batch) for batch in given_]

    columns = set().union(*(batch.schema.names for batch in settled))
    assert len({name.casefold() for name in columns}) == len(columns)
    for before, after in zip(given_, settled, strict=True):
        assert said(after.drop_columns(["time"]).to_pylist()[0]) == said(before.drop_columns(["time"]).to_pylist()[0])


def test_what_has_its_own_name_stays_as_it_is() -> None:
    known, batch = Names(["t_app"]), events([1], t_app=["a"], f_app=["b"])

    assert known.settled(batch) is batch


def test_beyond_so_many_names_new_ones_go_into_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_MOST", 1)
    known = Names(["t_app"])

    assert known.settled(events([1], t_app=["a"], t_zone=["b"])).column("attrs").to_pylist() == [[("t_zone", "b")]]


def test_of_two_threads_one_gets_the_name() -> None:
    known = Names(())
    batches = [events([1], **{name: ["x"]}) for name in ("t_app", "t_App")] * 20
    settled = []
    threads = [threading.Thread(target=lambda one=one: settled.append(known.settled(one))) for one in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set().union(*(batch.schema.names for batch in settled)) & {"t_app", "t_App"}) == 1


def test_a_tag_is_found_by_its_own_spelling_flushed_or_not_and_after_a_restart(tmp_path: Path) -> None:
    def found(store: Store, query: str) -> list[dict[str, object]]:
        rows = engine.run(store.snapshot(), asked(query)).table.to_pylist()
        return [{name: value for name, value in row.items() if value is not None} for row in rows]

    engine = Engine(tmp_path)
    store = Store.open(tmp_path, SETTINGS)
    store.append([events([1, 2], t_app=["small", "other"], t_App=["large", None])])
    for _ in range(2):
        assert found(store, "app:small | tail 1 | fields app, App") == [{"app": "small", "App": "large"}]
        assert found(store, "App:large | count") == [{"count": 1}]
        assert found(store, "app:large | count") == [{"count": 0}]
        assert found(store, "| count by App") == [{"App": "large", "count": 1}, {"count": 1}]
        store.flush()
    store.close()
    store = Store.open(tmp_path, SETTINGS)
    store.append([events([3], t_App=["large"], t_APP=["huge"])])

    assert found(store, "App:large | count") == [{"count": 2}]
    assert found(store, "APP:huge | count") == [{"count": 1}]
    assert [row.get("t_App") for row in rows_of(store.snapshot())] == [None] * 3
    store.close()
    engine.close()
