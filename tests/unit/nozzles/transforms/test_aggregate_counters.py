from hypothesis import given, settings
from hypothesis import strategies as st

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, Log
from nozzles.transforms.aggregate_counters import AggregateCounters, aggregate_counters

SETTINGS = AggregateCounters(step="aggregate_counters")


def counter(name: str = "n", delta: int = 0, total: int = 0, source: str = "a", instance: str = "0") -> Envelope:
    return Envelope(
        source_id=source, instance_id=instance, tags={"t": "v"}, counter=Counter(name=name, delta=delta, total=total)
    )


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 2**63)), max_size=20))
def test_totals_are_the_sums_of_each_counters_deltas(deltas: list[tuple[str, int]]) -> None:
    step = aggregate_counters(SETTINGS)
    sums = {"a": 0, "b": 0}

    for name, delta in deltas:
        sums[name] = (sums[name] + delta) % 2**64
        assert step(counter(name, delta)) == counter(name, delta, sums[name])


def test_counters_are_told_apart_by_source_instance_and_tags() -> None:
    step = aggregate_counters(SETTINGS)
    step(counter(delta=5))

    assert step(counter(delta=1, source="b")).counter.total == 1
    assert step(counter(delta=1, instance="1")).counter.total == 1
    assert step(Envelope(source_id="a", instance_id="0", counter=Counter(name="n", delta=1))).counter.total == 1
    assert step(counter(delta=1)).counter.total == 6


def test_a_total_that_is_told_is_believed_and_counted_on_from() -> None:
    step = aggregate_counters(SETTINGS)

    assert step(counter(delta=1, total=100)).counter.total == 100
    assert step(counter(delta=5)).counter.total == 105
    assert step(counter()).counter.total == 0  # neither: the counter says that it is at 0
    assert step(counter(delta=2)).counter.total == 2


def test_the_one_not_heard_of_for_longest_is_forgotten() -> None:
    step = aggregate_counters(AggregateCounters(step="aggregate_counters", max_counters=2))
    for name in ("x", "y", "x", "z"):
        step(counter(name, 1))

    assert step(counter("x", 1)).counter.total == 3
    assert step(counter("y", 1)).counter.total == 1


def test_what_is_no_counter_passes_unchanged() -> None:
    log = Envelope(log=Log(payload=b"x"))

    assert aggregate_counters(SETTINGS)(log) == Envelope(log=Log(payload=b"x"))
