import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from envelope import kernel
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope
from syslog_adapter.drain_url import DrainOptions
from syslog_adapter.shaping import Shaping
from tests.unit.syslog_adapter.lines import lines, of, texts


def shaping_of(most: int, **options: Any) -> Shaping:
    shaping = Shaping.of(DrainOptions(**options), most=most, most_bytes=10_000)
    assert shaping is not None
    return shaping


def test_a_drain_that_asks_for_nothing_has_none() -> None:
    assert Shaping.of(DrainOptions(), most=1, most_bytes=1) is None


def test_lines_are_put_in_order_before_they_are_joined() -> None:
    shaping = shaping_of(9, order_window_s=1.0, multiline="^ ")
    late = of(Envelope(timestamp=at, source_id="app", log={"payload": text}) for at, text in ((2, b" b"), (1, b"a")))

    assert shaping.turn(late, 2, 0.0) == (b"", 0)
    assert (shaping.held, shaping.due_at) == (2, 1.0)
    assert shaping.turn(b"", 0, 1.0) == (b"", 0)
    assert shaping.due_at == 2.0
    batch, count = shaping.turn(b"", 0, 2.0)
    assert (texts(kernel.select(batch, int(Kind.LOG))[0]), count) == (["a\n b"], 2)


@given(st.lists(st.tuples(st.lists(st.sampled_from(["x", " y"]), max_size=5), st.integers(0, 3))))
def test_every_envelope_comes_out_or_is_held(sent: list[tuple[list[str], int]]) -> None:
    shaping = shaping_of(7, order_window_s=2.0, multiline="^ ")
    now, came, went = 0.0, 0, 0
    for said, pause in sent:
        now += pause
        came += len(said)
        batch, count = shaping.turn(lines(*said), len(said), now)
        assert kernel.count(batch) == count
        went += count
        assert came == went + shaping.held
    assert shaping.turn(b"", 0, math.inf)[1] == came - went
    assert shaping.held == 0
