import importlib.util
import struct
import sys
from collections import defaultdict
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from envelope import kernel, reference
from envelope.framing import frame
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, Gauge, GaugeValue, Log, Timer
from tests.strategies import batch_of, parsed

EVERY_NAME: defaultdict[bytes, bool] = defaultdict(lambda: True)
LOWEST, HIGHEST = -(2**63), 2**63 - 1


def fresh_kernel() -> ModuleType:
    """Load the kernel anew, beside the one that everybody else uses."""
    spec = importlib.util.find_spec("envelope.kernel")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_environment_can_ask_for_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDPIPE_KERNEL", "reference")

    chosen = fresh_kernel()

    assert chosen.ACTIVE == "reference"
    assert chosen.admit is reference.admit


def test_without_a_compiled_kernel_the_reference_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STANDPIPE_KERNEL", raising=False)
    monkeypatch.setitem(sys.modules, "envelope._compiled", None)

    chosen = fresh_kernel()

    assert chosen.ACTIVE == "reference"
    assert chosen.admit is reference.admit


def test_a_compiled_kernel_goes_before_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STANDPIPE_KERNEL", raising=False)
    compiled = ModuleType("envelope._compiled")
    for name in reference.__all__:
        setattr(compiled, name, object())
    monkeypatch.setitem(sys.modules, "envelope._compiled", compiled)

    chosen = fresh_kernel()

    assert chosen.ACTIVE == "compiled"
    assert all(getattr(chosen, name) is getattr(compiled, name) for name in reference.__all__)


def test_a_compiled_kernel_that_lacks_a_function_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STANDPIPE_KERNEL", raising=False)
    outdated = ModuleType("envelope._compiled")
    outdated.admit = object()  # type: ignore[attr-defined]  # a stand-in for a module of an older version
    monkeypatch.setitem(sys.modules, "envelope._compiled", outdated)

    chosen = fresh_kernel()

    assert chosen.ACTIVE == "reference"
    assert chosen.admit is reference.admit


def test_it_offers_all_that_the_reference_does() -> None:
    assert sorted(kernel.__all__) == sorted(["ACTIVE", *reference.__all__])


# --- deal, samples: what is promised of either kernel -----------------------------------------------------------------


@pytest.fixture(params=[kernel, reference], ids=["active", "reference"])
def either(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


def log(source_id: str = "app", timestamp: int = 0) -> Envelope:
    return Envelope(source_id=source_id, timestamp=timestamp, log=Log(payload=b"hello"))


def count(total: int, *, timestamp: int = 0, name: str = "requests", **fields: Any) -> Envelope:
    return Envelope(timestamp=timestamp, counter=Counter(name=name, total=total), **fields)


def records(index: bytes) -> list[tuple[int, int, int]]:
    """Read an index: (timestamp, end, kind) of each envelope."""
    return [(time, end, kind) for time, end, kind in struct.iter_unpack("<qIB", index)]


def numbers(series: tuple[bytes, bytes]) -> list[tuple[int, float]]:
    """Read what a series holds: (timestamp, value) of each sample."""
    times, values = series
    count = len(times) // 8
    return list(zip(struct.unpack(f"<{count}q", times), struct.unpack(f"<{count}d", values), strict=True))


def test_nothing_is_dealt_out_of_nothing(either: ModuleType) -> None:
    assert either.deal(b"") == {}
    assert either.samples(b"", {}) == {}


def test_each_source_is_dealt_its_envelopes_in_order(either: ModuleType) -> None:
    sent = [log("a", 3), log("b", 1), count(7, source_id="a", timestamp=2), Envelope(source_id="a"), log("b", 1)]

    dealt = either.deal(batch_of(*sent))

    assert {source: list(parsed(part)) for source, (part, _) in dealt.items()} == {
        b"a": [sent[0], sent[2], sent[3]],
        b"b": [sent[1], sent[4]],
    }
    assert [(time, kind) for time, _, kind in records(dealt[b"a"][1])] == [(3, Kind.LOG), (2, Kind.COUNTER), (0, 32)]


def test_the_index_says_where_each_envelope_ends(either: ModuleType) -> None:
    sent = [log("app", number**5) for number in range(200)]

    part, index = either.deal(batch_of(*sent))[b"app"]

    ends = [end for _, end, _ in records(index)]
    found = [parsed(part[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    assert [list(one) for one in found] == [[envelope] for envelope in sent]
    assert ends[-1] == len(part)


@pytest.mark.parametrize("timestamp", [0, -1, LOWEST, HIGHEST])
def test_every_timestamp_fits_the_index(either: ModuleType, timestamp: int) -> None:
    _, index = either.deal(batch_of(log(timestamp=timestamp)))[b"app"]

    assert records(index)[0][0] == timestamp


def test_numpy_reads_an_index(either: ModuleType) -> None:
    part, index = either.deal(batch_of(log(timestamp=-5), log(timestamp=HIGHEST)))[b"app"]

    read = np.frombuffer(index, np.dtype([("time", "<i8"), ("end", "<u4"), ("kind", "u1")]))

    assert read["time"].tolist() == [-5, HIGHEST]
    assert read["end"].tolist()[-1] == len(part)
    assert read["kind"].tolist() == [Kind.LOG, Kind.LOG]


def test_the_empty_source_id_is_one_like_others(either: ModuleType) -> None:
    dealt = either.deal(batch_of(log(""), log("a"), log("")) + frame(b"\x12\x00"))

    assert {source: len(records(index)) for source, (_, index) in dealt.items()} == {b"": 3, b"a": 1}


def test_source_ids_of_megabytes_are_told_apart_by_their_last_byte(either: ModuleType) -> None:
    long = "x" * 2_000_000

    dealt = either.deal(batch_of(log(long + "a"), log(long + "b"), log(long), log(long + "a")))

    assert [(source[-1:], len(records(index))) for source, (_, index) in dealt.items()] == [
        (b"a", 2),
        (b"b", 1),
        (b"x", 1),
    ]


def test_a_hundred_thousand_sources_in_one_batch(either: ModuleType) -> None:
    sources = [str(number).encode() for number in range(100_000)]
    batch = b"".join(frame(b"\x12" + bytes([len(source)]) + source) for source in sources)

    dealt = either.deal(batch + batch)

    assert list(dealt) == sources
    assert b"".join(part[: len(part) // 2] for part, _ in dealt.values()) == batch
    assert {len(index) for _, index in dealt.values()} == {26}


def test_an_envelope_in_an_odd_encoding_joins_the_others_of_its_source(either: ModuleType) -> None:
    odd = frame(b"\x12\x05wrong\x08\x01\x12\x03app\x08\x09\x78\x01")  # two source_ids and times, a field unheard of

    dealt = either.deal(batch_of(log()) + odd + batch_of(log()))

    assert list(dealt) == [b"app"]
    assert [(time, kind) for time, _, kind in records(dealt[b"app"][1])] == [(0, 1), (9, 32), (0, 1)]


def test_a_part_that_an_index_cannot_tell_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one = batch_of(log())
    monkeypatch.setattr(reference, "_MOST_END", 2 * len(one))

    assert len(reference.deal(one * 2)[b"app"][1]) == 26
    with pytest.raises(OverflowError):
        reference.deal(one * 3)


def test_samples_come_as_series_in_order(either: ModuleType) -> None:
    batch = batch_of(
        count(5, timestamp=30, instance_id="0", tags={"job": "web"}),
        count(6, timestamp=20, instance_id="1", tags={"job": "web"}),
        log(),
        count(7, timestamp=-10, instance_id="0", tags={"job": "web"}),
        count(8, timestamp=HIGHEST, instance_id="0"),
    )
    web = Envelope(tags={"job": "web"}).SerializeToString()

    series = either.samples(batch, EVERY_NAME)

    assert {key: numbers(of) for key, of in series.items()} == {
        (b"requests", b"0", web): [(30, 5.0), (-10, 7.0)],
        (b"requests", b"1", web): [(20, 6.0)],
        (b"requests", b"0", b""): [(HIGHEST, 8.0)],
    }


def test_name_instance_and_tags_do_not_run_into_each_other(either: ModuleType) -> None:
    tags = Envelope(tags={"a": "b"}).SerializeToString().decode()
    batch = batch_of(
        count(1, name="ab"),
        count(2, name="b", instance_id="a"),
        count(3, instance_id="ab", name=""),
        count(4, name="", tags={"a": "b"}),
        count(5, name=tags),
        count(6, name="", instance_id=tags),
    )

    assert sorted(numbers(of)[0][1] for of in either.samples(batch, EVERY_NAME).values()) == [1, 2, 3, 4, 5, 6]


def test_only_wanted_names_are_sampled(either: ModuleType) -> None:
    asked: list[bytes] = []

    class Wanted(dict[bytes, bool]):
        def __missing__(self, name: bytes) -> bool:
            asked.append(name)
            self[name] = wanted = name in (b"cpu", b"http")
            return wanted

    gauge = Envelope(gauge=Gauge(metrics={"cpu": GaugeValue(value=1.5), "memory": GaugeValue(value=2.5)}))
    timer = Envelope(timer=Timer(name="http", start=5, stop=3))

    series = either.samples(batch_of(gauge, count(1), timer, gauge), Wanted())

    assert {name: numbers(of) for (name, _, _), of in series.items()} == {
        b"cpu": [(0, 1.5), (0, 1.5)],
        b"http": [(0, -2.0)],
    }
    assert sorted(asked) == [b"cpu", b"http", b"memory", b"requests"]


def test_what_wanted_raises_is_passed_on(either: ModuleType) -> None:
    with pytest.raises(KeyError):
        either.samples(batch_of(count(1)), {})


def metric(name: bytes, number: float) -> bytes:
    """One entry of a gauge's map."""
    value = b"\x11" + struct.pack("<d", number)
    entry = b"\x0a" + bytes([len(name)]) + name + b"\x12" + bytes([len(value)]) + value
    return b"\x0a" + bytes([len(entry)]) + entry


ODD_METRIC = b"\x0a\x05\x0a\x01m\x78\x01"  # with a field unheard of: protobuf passes the entry over


@pytest.mark.parametrize("odd", [b"", ODD_METRIC], ids=["ordinary", "odd"])
def test_a_metric_that_comes_twice_counts_once_with_its_last_value(either: ModuleType, odd: bytes) -> None:
    metrics = metric(b"cpu", 1.0) + metric(b"disk", 5.0) + odd + metric(b"cpu", 2.0)
    gauge = frame(b"\x32" + bytes([len(metrics)]) + metrics)

    series = either.samples(gauge + gauge, EVERY_NAME)

    assert {name: numbers(of) for (name, _, _), of in series.items()} == {
        b"cpu": [(0, 2.0), (0, 2.0)],
        b"disk": [(0, 5.0), (0, 5.0)],
    }


def test_an_envelope_in_an_odd_encoding_joins_the_others_of_its_series(either: ModuleType) -> None:
    tagged = count(1, instance_id="0", tags={"job": "web"})
    odd = frame(tagged.SerializeToString() + count(2, timestamp=9).SerializeToString())  # two counters, merged

    (series,) = either.samples(batch_of(tagged) + odd + odd + batch_of(tagged), EVERY_NAME).values()

    assert numbers(series) == [(0, 1.0), (9, 2.0), (9, 2.0), (0, 1.0)]


def test_tags_come_as_they_stood(either: ModuleType) -> None:
    first, last = (Envelope(tags={name: "x"}).SerializeToString() for name in "ab")
    counter = count(1, timestamp=7, instance_id="0", source_id="app").SerializeToString()

    series = either.samples(frame(first + counter + last) + frame(last + first + counter), EVERY_NAME)

    assert [tags for _, _, tags in series] == [first + last, last + first]


def test_tens_of_thousands_of_series_in_one_batch(either: ModuleType) -> None:
    batch = batch_of(*(count(number, instance_id=str(number)) for number in range(20_000)))

    series = either.samples(batch * 2, EVERY_NAME)

    assert [numbers(of) for of in series.values()] == [[(0, float(number))] * 2 for number in range(20_000)]
