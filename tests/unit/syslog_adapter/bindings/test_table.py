from hypothesis import given
from hypothesis import strategies as st

from syslog_adapter.binding import Binding
from syslog_adapter.bindings.table import Table

bindings = st.lists(
    st.builds(Binding, url=st.sampled_from("abcdefg"), source_id=st.sampled_from(["", "1", "2"])), max_size=25
)


@given(bindings, bindings)
def test_a_change_leads_from_one_to_the_other(before: list[Binding], after: list[Binding]) -> None:
    old, new = Table.of(before, per_source=5), Table.of(after, per_source=5)

    change = old.change_to(new)

    assert (set(old.bindings) - set(change.removed)) | set(change.added) == set(new.bindings)
    assert not set(change.removed) & set(new.bindings)
    assert not set(change.added) & set(old.bindings)


@given(bindings)
def test_of_a_source_the_first_by_url_stay(listed: list[Binding]) -> None:
    table = Table.of(listed, per_source=2)

    for source, kept in table.by_source.items():
        urls = sorted({each.url for each in listed if each.source_id == source})
        assert [each.url for each in kept] == urls[:2]
    assert len(table.bindings) + table.ignored == len(set(listed))


def test_aggregate_drains_have_no_limit() -> None:
    table = Table.of([Binding(url=url) for url in "abcdef"], per_source=5)

    assert len(table.aggregates) == 6
    assert table.by_source == {}
