"""The table of series: bounded, and without what is stale."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nozzles.prometheus.scrapes import exposition
from nozzles.prometheus.table import Table, families
from nozzles.prometheus_series import Sample


def sample(name: str, value: float = 1.0, timestamp: int = 0) -> Sample:
    return Sample(name, False, (), value, timestamp)


def names(table: Table, now: float = 0.0) -> list[str]:
    return [one.name for one in table.samples(now)]


def test_the_latest_value_stays_whatever_comes_late() -> None:
    table = Table(max_series=5, expire_s=10)
    for value, timestamp in ((2.0, 20), (3.0, 30), (1.0, 10)):
        table.put(sample("n", value, timestamp), now=0)

    assert table.samples(0) == [sample("n", 3.0, 30)]


def test_the_one_updated_longest_ago_makes_room() -> None:
    table = Table(max_series=2, expire_s=10)
    for name in ("a", "b", "a", "c"):
        table.put(sample(name), now=0)

    assert (names(table), table.evicted_total) == (["a", "c"], 1)


def test_what_nothing_is_heard_of_expires() -> None:
    table = Table(max_series=5, expire_s=10)
    table.put(sample("old"), now=0)
    table.put(sample("new"), now=5)

    assert names(table, now=9.9) == ["old", "new"]
    assert names(table, now=10) == ["new"]
    assert table.expired_total == 1


@given(st.lists(st.sampled_from("abcdefgh")), st.integers(1, 5))
def test_every_series_is_kept_or_counted(put: list[str], most: int) -> None:
    table = Table(max_series=most, expire_s=10)
    for name in put:
        table.put(sample(name), now=0)

    assert len(names(table)) == min(most, len(set(put)))
    assert (table.evicted_total > 0) == (len(set(put)) > most)


@pytest.mark.parametrize("name", ["standpipe_prometheus_series", "standpipe_prometheus_series_evicted_total"])
def test_an_app_cannot_forge_what_the_nozzle_says_of_itself(name: str) -> None:
    table = Table(max_series=5, expire_s=10)
    table.put(Sample(name, name.endswith("_total"), (), 666.0, 0), now=0)

    text = exposition(table.snapshot(0), packs=False).decode()
    types = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert sorted(types) == sorted({*types, f"_{name}"})
    assert f"\n{name} 666.0" not in text
    assert f"\n_{name} 666.0" in text


def test_samples_of_one_name_are_one_family() -> None:
    found = families([sample("a"), Sample("b_total", True, (), 1.0, 0), Sample("a", False, (("x", "y"),), 2.0, 0)])

    assert [(family.name, family.type, len(family.samples)) for family in found] == [
        ("a", "gauge", 2),
        ("b", "counter", 1),
    ]
