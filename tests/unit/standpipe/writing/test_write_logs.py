from hypothesis import given
from hypothesis import strategies as st

from envelope import kernel
from envelope.kinds import Kind
from envelope.pb import loggregator_v2_pb2 as v2
from standpipe.writing.write_logs import BATCH_BYTES, LogWriter, grouped

HEAD = v2.Envelope(source_id="app", instance_id="1", tags={"a": "b"}).SerializeToString()


def test_lines_become_logs_of_their_origin() -> None:
    batch = v2.EnvelopeBatch.FromString(LogWriter(HEAD, lambda: 7, err=False).write([b"one", b"\xff"])).batch

    assert [envelope.log.payload for envelope in batch] == [b"one", b"\xff"]
    assert {envelope.source_id for envelope in batch} == {"app"}
    assert batch[0].tags == {"a": "b"}
    assert batch[0].log.type == v2.Log.OUT


def test_error_output_is_marked() -> None:
    batch = LogWriter(HEAD, lambda: 7, err=True).write([b"one"])

    assert v2.EnvelopeBatch.FromString(batch).batch[0].log.type == v2.Log.ERR


def test_stamps_rise_whatever_the_clock_does() -> None:
    clock = iter([100, 101, 50, 1000])
    writer = LogWriter(HEAD, lambda: next(clock), err=False)
    stamps = [span[4] for _ in range(4) for span in kernel.spans(writer.write([b"x"] * 3))]

    assert stamps == [100, 101, 102, 103, 104, 105, 106, 107, 108, 1000, 1001, 1002]


@given(sizes=st.lists(st.integers(0, BATCH_BYTES // 2)), most=st.integers(1, 20), overhead=st.integers(0, 40_000))
def test_groups_hold_every_line_in_order(sizes: list[int], most: int, overhead: int) -> None:
    lines = [bytes(size) for size in sizes]
    groups = list(grouped(lines, most, overhead))

    assert [line for group in groups for line in group] == lines
    assert all(0 < len(group) <= most for group in groups)


@given(sizes=st.lists(st.integers(0, BATCH_BYTES // 2)), overhead=st.integers(0, 40_000))
def test_groups_are_small_unless_a_single_line_is_not(sizes: list[int], overhead: int) -> None:
    for group in grouped([bytes(size) for size in sizes], 500, overhead):
        assert len(group) == 1 or sum(len(line) + overhead for line in group) <= BATCH_BYTES


def test_a_group_becomes_a_batch_of_moderate_size() -> None:
    writer = LogWriter(HEAD, lambda: 1 << 60, err=True)
    (group, *_) = writer.groups([b"x" * 200] * 1000)
    batch = writer.write(group)

    assert kernel.admit(batch)[1:] == (len(group), Kind.LOG, 0)
    assert len(batch) <= BATCH_BYTES
