"""Events are written in order, once and again, and forgotten when they are too many."""

from hypothesis import given
from hypothesis import strategies as st

from reverse_log_proxy.gateway.history import History


def write(history: History, count: int) -> list[int]:
    """Write so many events, or all there are; returns their numbers."""
    numbers = []
    while len(numbers) < count and (event := history.next()):
        numbers.append(event.number)
        history.written()
    return numbers


def filled(count: int, *, max_bytes: int = 100) -> History:
    history = History(max_bytes)
    for _ in range(count):
        history.add(b"x" * 10, b"{}")
    return history


def test_events_are_numbered_from_one_and_written_in_order() -> None:
    assert write(filled(3), 5) == [1, 2, 3]


def test_the_next_event_stays_the_next_until_it_was_written() -> None:
    history = filled(2)

    assert history.next() is history.next()


def test_what_came_after_an_id_is_written_again() -> None:
    history = filled(4)
    write(history, 3)

    assert history.rewind(1) is not None
    assert write(history, 9) == [2, 3, 4]


def test_what_the_client_has_is_forgotten() -> None:
    history = filled(3)
    write(history, 3)

    assert [event.number for event in history.rewind(2) or ()] == [1, 2]
    assert history.rewind(1) is None


def test_a_client_may_have_got_what_seemed_unwritten() -> None:
    history = filled(1)

    assert [event.number for event in history.rewind(1) or ()] == [1]
    assert history.next() is None


def test_an_id_that_was_never_given_is_not_taken() -> None:
    assert filled(2).rewind(3) is None


def test_written_events_make_room() -> None:
    history = filled(3, max_bytes=20)
    write(history, 3)

    assert history.rewind(0) is None
    assert history.rewind(1) is not None


def test_what_has_to_be_written_is_held_whatever_its_size() -> None:
    assert write(filled(3, max_bytes=0), 3) == [1, 2, 3]


@given(
    sizes=st.lists(st.integers(0, 30), max_size=40),
    written=st.integers(0, 40),
    number=st.integers(0, 45),
    max_bytes=st.integers(0, 200),
)
def test_a_resumed_client_misses_nothing_and_gets_nothing_twice(
    sizes: list[int], written: int, number: int, max_bytes: int
) -> None:
    history = History(max_bytes)
    for size in sizes:
        history.add(b"x" * size, b"{}")
    write(history, written)

    if history.rewind(number) is not None:
        assert write(history, len(sizes)) == list(range(number + 1, len(sizes) + 1))
