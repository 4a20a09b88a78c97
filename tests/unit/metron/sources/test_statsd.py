"""Lines of statsd become the envelopes that the original makes of them, or are counted."""

import math
import time
from itertools import accumulate
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.pb import loggregator_v2_pb2 as v2
from metron.sources.counts import DoorCounts
from metron.sources.statsd import BadLine, StatsdParser, parse_line
from metron.sources.udp import Parsed
from tests.strategies import parsed

NOW = 1_700_000_000_000_000_000


def parser(counters: Literal["gauge", "counter"] = "gauge", max_names: int = 100) -> StatsdParser:
    return StatsdParser(counters, max_names, DoorCounts())


def envelopes(*lines: bytes, counters: Literal["gauge", "counter"] = "gauge") -> list[v2.Envelope]:
    return list(parsed(parser(counters)(b"\n".join(lines), NOW).batch))


def values(*lines: bytes) -> list[float]:
    return [value.value for envelope in envelopes(*lines) for value in envelope.gauge.metrics.values()]


def totals(*lines: bytes) -> list[tuple[int, int]]:
    return [(each.counter.delta, each.counter.total) for each in envelopes(*lines, counters="counter")]


def test_a_line_becomes_a_gauge_of_its_origin() -> None:
    (envelope,) = envelopes(b"fake-origin.test.gauge:23|g")

    assert envelope == v2.Envelope(
        timestamp=NOW,
        source_id="fake-origin",
        tags={"origin": "fake-origin"},
        gauge={"metrics": {"test.gauge": {"unit": "gauge", "value": 23.0}}},
    )


@pytest.mark.parametrize(("kind", "unit"), [(b"g", "gauge"), (b"c", "counter"), (b"ms", "ms")])
def test_the_unit_is_the_kind(kind: bytes, unit: str) -> None:
    (envelope,) = envelopes(b"a.b:1|" + kind)

    assert envelope.gauge.metrics["b"].unit == unit


def test_a_value_is_divided_by_its_sample_rate() -> None:
    assert values(b"o.a:17.5|g|@0.2", b"o.b:71|ms|@0.1", b"o.c:71|c|@0.1", b"o.d:6|g|@2") == [87.5, 710, 710, 3]


def test_a_gauge_with_a_sign_moves() -> None:
    assert values(b"o.a:23|g", b"o.a:+7|g", b"o.a:-5|g", b"o.b:-5|g", b"o.a:4|g") == [23, 30, 25, -5, 4]


def test_a_counter_is_a_running_sum_that_can_go_down() -> None:
    assert values(b"o.a:23|c", b"o.a:+7|c", b"o.a:-5|c", b"o.b:1|c") == [23, 30, 25, 1]


def test_a_time_is_what_it_says() -> None:
    assert values(b"o.a:23|ms", b"o.a:5|ms", b"o.a:-5|ms") == [23, 5, -5]


def test_a_gauge_and_a_counter_of_one_name_are_two() -> None:
    assert values(b"o.a:10|g", b"o.a:1|c", b"o.a:+1|g") == [10, 1, 11]


def test_sums_go_by_origin_and_name_whatever_the_tags() -> None:
    assert values(b"o.a:1|c|#x:1", b"o.a:1|c|#x:2") == [1, 2]


@pytest.mark.parametrize(
    ("line", "tags"),
    [
        (b"o.a:1|c|#k:v,l:w", {"k": "v", "l": "w"}),
        (b"o.a:1|c|@0.5|#k:v", {"k": "v"}),
        (b"o.a:1|c|#k:v|@0.5", {"k": "v"}),
        (b"o.a:1|c|#k,l:,:v,,m:n", {"k": "", "l": "", "m": "n"}),
        (b"o.a:1|c|#url:http://x/y-z", {"url": "http://x/y-z"}),
        (b"o.a:1|c|#k:v|c:0123|T1656581400", {"k": "v"}),
        (b"o.a:1|c|#", {}),
        ("o.a:1|c|#k:\u00e9".encode(), {"k": "\u00e9"}),
    ],
)
def test_tags_stand_behind_a_hash(line: bytes, tags: dict[str, str]) -> None:
    assert parse_line(line).tags == {"origin": "o", **tags}


def test_a_tag_origin_is_the_senders_to_choose() -> None:
    (envelope,) = envelopes(b"o.a:1|g|#origin:else")

    assert (envelope.source_id, envelope.tags["origin"]) == ("o", "else")


@pytest.mark.parametrize("number", ["0", "007", "1.", ".5", "1.25", "1e3", "1.5E-3", "179e306"])
def test_numbers_are_taken_as_programs_write_them(number: str) -> None:
    assert parse_line(f"o.a:{number}|g".encode()).value == float(number)


@pytest.mark.parametrize(
    "line",
    [
        *(b"a", b"a.b", b"a.b:1", b"a.b:1|", b"a.b:1|x", b"a.b:1|gauge", b"a.b:|g", b"a.b:x|g", b"a.:1|g"),
        *(b".b:1|g", b"b:1|g", b"a.b:nan|g", b"a.b:inf|g", b"a.b:1_0|g", b"a.b:0x1|g", b"a.b:--1|g", b"a.b: 1|g"),
        *(b"a.b:1e400|g", b"a.b:" + b"9" * 400 + b"|g", b"a.b:1e300|g|@1e-300", b"a.b:1:2|g"),
        *(b"a.b:1|g|@0", b"a.b:1|g|@-1", b"a.b:1|g|@", b"a.b:1|g|@x", b"a.b:1|g|@1e400", b"a.b:1|g|@nan"),
        *("a.b:\u0663|g".encode(), b"a.\xff:1|g", b"a.b:1|g|#\xff", b"a.b:1|g\r", b"\x00"),
    ],
)
def test_a_line_that_is_no_statsd_is_refused(line: bytes) -> None:
    with pytest.raises(BadLine):
        parse_line(line)


def test_a_bad_line_is_counted_and_the_others_go_on() -> None:
    result = parser()(b"o.a:1|g\no.b:x|g\n\r\n\no.c:3|g\r\njunk\n", NOW)

    first, second = parsed(result.batch)
    assert (result.envelopes, result.malformed, result.fault) == (2, 2, "not origin.name:value|type")
    assert (first.timestamp, second.timestamp) == (NOW, NOW + 1)
    assert second.gauge.metrics["c"].value == 3


def test_an_empty_datagram_is_nothing() -> None:
    assert parser()(b"", NOW) == parser()(b"\n\r\n", NOW) == Parsed()


def test_a_sum_that_is_no_number_any_more_is_refused_and_the_last_one_stays() -> None:
    parse = parser()

    results = [parse(line, NOW) for line in (b"o.a:1e308|c", b"o.a:1e308|c", b"o.a:-1e308|c")]

    assert [result.malformed for result in results] == [0, 1, 0]
    assert parsed(results[2].batch)[0].gauge.metrics["a"].value == 0


def test_counters_can_be_sent_as_counters() -> None:
    (envelope, *others) = envelopes(b"o.a:2|c|#k:v", b"o.b:1|g", b"o.c:1|ms", counters="counter")

    assert envelope.counter == v2.Counter(name="a", delta=2, total=2)
    assert (envelope.source_id, dict(envelope.tags)) == ("o", {"origin": "o", "k": "v"})
    assert [other.WhichOneof("message") for other in others] == ["gauge", "gauge"]


def test_counters_with_other_tags_are_other_counters() -> None:
    assert totals(b"o.a:1|c|#x:1,y:1", b"o.a:2|c|#x:2", b"o.a:4|c|#y:1,x:1") == [(1, 1), (2, 2), (4, 5)]


def test_fractions_of_counts_are_kept_for_the_next() -> None:
    assert totals(*[b"o.a:1|c|@0.4"] * 4) == [(2, 2), (3, 5), (2, 7), (3, 10)]


@pytest.mark.parametrize("line", [b"o.a:-1|c", b"o.a:18446744073709551616|c", b"o.a:1|c|@1e-20"])
def test_a_counter_takes_no_steps_down_and_none_over_64_bits(line: bytes) -> None:
    result = parser("counter")(line, NOW)

    assert (result.envelopes, result.malformed) == (0, 1)


def test_a_counter_wraps_around_as_64_bits_do() -> None:
    assert totals(b"o.a:9223372036854775808|c", b"o.a:9223372036854775808|c", b"o.a:1|c")[1:] == [(2**63, 0), (1, 1)]


@given(deltas=st.lists(st.integers(0, 2**50), max_size=20))
def test_a_counters_totals_are_the_sums_of_its_deltas(deltas: list[int]) -> None:
    assert totals(*(f"o.a:{delta}|c".encode() for delta in deltas)) == list(
        zip(deltas, accumulate(deltas), strict=True)
    )


def test_what_is_remembered_has_a_bound() -> None:
    counts = DoorCounts()
    parse = StatsdParser("gauge", 2, counts)

    for number in range(5):
        parse(f"o.a{number}:1|c\no.a{number}:1|g".encode(), NOW)

    assert counts.names_forgotten == 6


@pytest.mark.parametrize(
    "hostile",
    [
        *(b"a" * 65_000, b"a." * 32_000, b"a.b:" + b"1" * 65_000, b"a.b:" + b"1." * 30_000, b"a.b" + b":1" * 30_000),
        *(b"a.b:1|g|" + b"@1|" * 20_000 + b"@", b"a.b:1|g|#" + b"a:b," * 15_000, b"a.b:1" + b"e1" * 30_000),
    ],
)
def test_the_time_a_line_takes_grows_with_its_length_and_no_faster(hostile: bytes) -> None:
    started = time.process_time()

    parser()(hostile, NOW)

    assert time.process_time() - started < 1  # a quadratic match would take minutes


_tokens = st.sampled_from(b"a . : | 1 - + g c ms @ 0.1 # , e9".split())
_almost = st.lists(_tokens | st.binary(max_size=2), max_size=16).map(b"".join)


@given(lines=st.lists(_almost, max_size=6), counters=st.sampled_from(["gauge", "counter"]))
def test_any_bytes_are_taken_or_counted_and_never_raise(
    lines: list[bytes], counters: Literal["gauge", "counter"]
) -> None:
    datagram = b"\n".join(lines)

    result = parser(counters)(datagram, NOW)

    assert result.envelopes + result.malformed == sum(1 for line in datagram.split(b"\n") if line not in (b"", b"\r"))
    assert len(parsed(result.batch)) == result.envelopes


@given(cut=st.integers(0, 40))
def test_a_truncated_line_is_taken_or_counted(cut: int) -> None:
    result = parser()(b"origin.name:+12.5|ms|@0.25|#key:value"[:cut], NOW)

    assert result.envelopes + result.malformed == min(cut, 1)


@given(value=st.floats(0, 1e300), rate=st.floats(0.001, 1))
def test_every_finite_value_arrives(value: float, rate: float) -> None:
    (arrived,) = values(f"o.a:{value!r}|g|@{rate!r}".encode())

    assert math.isclose(arrived, value / rate)
