"""A client is listened to a little at a time: nothing it says is lost or comes out of order."""

from hypothesis import given
from hypothesis import strategies as st

from traffic_controller.patience import HEARD_BYTES, HEARD_EVERY_S, Patience

Talk = list[tuple[bytes, float]]


@st.composite
def talk(draw: st.DrawFn) -> Talk:
    """What a client says, and when."""
    pieces = draw(st.lists(st.tuples(st.integers(0, 3 * HEARD_BYTES), st.floats(0, 2 * HEARD_EVERY_S)), max_size=20))
    now, said = 100.0, []
    for number, (size, pause) in enumerate(pieces):
        now += pause
        said.append((bytes([number]) * size, now))
    return said


@given(talk())
def test_what_is_said_is_heard_in_order_or_waits(said: Talk) -> None:
    patience = Patience()

    heard = b"".join(patience.hear(piece, now) for piece, now in said)

    assert heard + patience.waiting == b"".join(piece for piece, _ in said)


@given(talk())
def test_never_more_is_heard_than_there_is_patience_for(said: Talk) -> None:
    patience = Patience()
    heard = [(len(patience.hear(piece, now)), now) for piece, now in said]

    for _, start in heard:
        within = sum(size for size, now in heard if start <= now < start + HEARD_EVERY_S)
        assert within <= 2 * HEARD_BYTES  # the end of one time and the beginning of the next


@given(talk())
def test_nothing_waits_while_there_is_patience(said: Talk) -> None:
    patience = Patience()

    for piece, now in said:
        heard = patience.hear(piece, now)
        assert len(heard) == HEARD_BYTES or not patience.waiting or now < patience.renewed_at


def test_what_waits_is_heard_when_there_is_patience_again() -> None:
    patience = Patience()
    first = patience.hear(b"a" * HEARD_BYTES + b"b" * 10, 1.0)

    assert (first, patience.hear(b"c", patience.renewed_at - 0.01)) == (b"a" * HEARD_BYTES, b"")
    assert patience.hear(b"", patience.renewed_at) == b"b" * 10 + b"c"
