"""An ordering window loses and invents nothing, holds no more than it may, and puts in order what comes in time."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from syslog_adapter.ordering import Window
from tests.unit.syslog_adapter.lines import of


def timed(source: str, timestamp: int, number: int = 0) -> bytes:
    return of([Envelope(source_id=source, timestamp=timestamp, log={"payload": str(number).encode()})])


def times(batch: bytes, source: str = "app") -> list[int]:
    return [each.timestamp for each in EnvelopeBatch.FromString(batch).batch if each.source_id == source]


def test_a_late_envelope_finds_its_place() -> None:
    window = Window(1.0, most=100, most_bytes=10_000)
    out = window.add(timed("app", 1), 0.0) + window.add(timed("app", 3), 0.1) + window.add(timed("app", 2), 0.9)
    assert (out, window.held, window.due_at) == (b"", 3, 1.0)

    assert times(window.release(1.0)) == [1]
    assert times(window.release(1.1)) == [2, 3]
    assert (window.held, window.due_at) == (0, float("inf"))


def test_sources_do_not_wait_for_each_other() -> None:
    window = Window(1.0, most=100, most_bytes=10_000)
    window.add(timed("ahead", 10**15), 0.0)
    window.add(timed("app", 2), 0.5)
    window.release(1.0)
    window.add(timed("app", 1), 1.4)

    assert times(window.release(1.5)) == [1, 2]


def test_where_there_is_no_more_room_the_first_go_early() -> None:
    window = Window(1.0, most=2, most_bytes=10_000)
    window.add(timed("app", 5), 0.0)
    window.add(timed("app", 4), 0.0)

    assert times(window.add(timed("app", 9), 0.0)) == [4, 5]
    assert window.held == 1
    assert times(Window(1.0, most=9, most_bytes=1).add(timed("app", 1), 0.0)) == [1]


arrivals = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 50), st.integers(0, 10), st.integers(1, 3)), max_size=40
)


@given(arrivals, st.integers(1, 30), st.integers(1, 40))
def test_nothing_is_lost_and_the_bound_holds(sent: list[tuple[str, int, int, int]], window_s: int, most: int) -> None:
    window, now, out = Window(window_s, most=most, most_bytes=1 << 20), 0.0, b""
    for number, (source, timestamp, pause, copies) in enumerate(sent):
        now += pause
        out += window.add(timed(source, timestamp, number) * copies, now) + window.release(now)
        assert window.held <= most
        assert window.due_at > now
    out += window.release(float("inf"))

    came = sorted(
        timed(source, timestamp, n) for n, (source, timestamp, _, many) in enumerate(sent) for _ in range(many)
    )
    assert sorted(of([each]) for each in EnvelopeBatch.FromString(out).batch) == came
    assert window.held == 0


@given(arrivals, st.integers(1, 30))
def test_what_comes_in_time_goes_in_order(sent: list[tuple[str, int, int, int]], window_s: int) -> None:
    """Whatever comes more than the window behind a later one is left out; the rest must come out sorted."""
    window, now, out = Window(window_s, most=1000, most_bytes=1 << 20), 0.0, b""
    seen: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for source, timestamp, pause, _ in sent:
        now += pause
        if any(now >= came + window_s and timestamp < other for came, other in seen[source]):
            continue
        seen[source].append((now, timestamp))
        out += window.add(timed(source, timestamp), now) + window.release(now)
    out += window.release(float("inf"))

    for source in "ab":
        assert times(out, source) == sorted(timestamp for _, timestamp in seen[source])
