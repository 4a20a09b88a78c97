from hypothesis import given
from hypothesis import strategies as st

from syslog_adapter.cutting import cut
from tests.unit.syslog_adapter.lines import lines, texts


@given(st.integers(0, 6), st.integers(0, 8))
def test_nothing_is_lost_by_a_cut(size: int, count: int) -> None:
    batch = lines(*map(str, range(size)))

    first, rest = cut(batch, count)

    assert first + rest == batch
    assert len(texts(first)) == min(size, count)
