"""A name filter keeps metrics by name, reduces gauges, and never keeps a log or an event (loggregator.md 4.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.framing import frame, frames
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from log_cache import name_filter
from log_cache.name_filter import MAX_NAME_BYTES, MAX_PATTERN_BYTES, NameFilter
from log_cache.query import BadRequest


def batch(*envelopes: Envelope) -> bytes:
    return b"".join(frame(envelope.SerializeToString()) for envelope in envelopes)


def kept(pattern: str, *envelopes: Envelope) -> list[Envelope]:
    filtered, count = NameFilter(pattern).apply(batch(*envelopes))
    found = list(EnvelopeBatch.FromString(filtered).batch)
    assert len(found) == count
    return found


def counter(name: str) -> Envelope:
    return Envelope(source_id="app", counter={"name": name})


def gauge(*names: str) -> Envelope:
    return Envelope(source_id="app", tags={"a": "b"}, gauge={"metrics": {name: {"value": 1} for name in names}})


def refusal(pattern: str) -> str:
    with pytest.raises(BadRequest) as caught:
        NameFilter(pattern)
    return str(caught.value).removeprefix("name filter must be a valid regular expression: error parsing regexp: ")


def test_a_pattern_is_searched_for_anywhere() -> None:
    assert kept("pu", counter("cpu_user"), counter("disk")) == [counter("cpu_user")]


def test_a_pattern_may_be_anchored() -> None:
    assert kept("^cpu$", counter("cpu"), counter("cpu_user")) == [counter("cpu")]


def test_timers_match_by_name() -> None:
    http = Envelope(timer={"name": "http", "start": 1, "stop": 2})

    assert kept("http", http, Envelope(timer={"name": "db"})) == [http]


def test_logs_events_and_bare_envelopes_never_match() -> None:
    assert kept("", Envelope(log={"payload": b"cpu"}), Envelope(event={"title": "cpu"}), Envelope()) == []
    assert kept("", counter("")) == [counter("")]


def test_gauges_keep_only_the_metrics_that_match() -> None:
    assert kept("memory|memory_quota", gauge("cpu", "memory", "memory_quota")) == [gauge("memory", "memory_quota")]


def test_gauges_of_which_nothing_matches_go() -> None:
    assert kept("cpu", gauge("disk"), gauge()) == []


def test_a_gauge_that_matches_whole_keeps_its_bytes() -> None:
    odd = frame(gauge("cpu").SerializeToString() + b"\xa2\x06\x01x")

    assert NameFilter("cpu").apply(odd) == (odd, 1)


def test_what_is_kept_stays_in_order() -> None:
    assert kept("cpu", gauge("cpu"), counter("x"), counter("cpu"), gauge("x", "cpu")) == [
        gauge("cpu"),
        counter("cpu"),
        gauge("cpu"),
    ]


@given(names=st.lists(st.text(st.characters(codec="utf-8"), max_size=3)), sought=st.sampled_from("abcä"))
def test_a_counter_is_kept_if_its_name_contains_what_is_sought(names: list[str], sought: str) -> None:
    filtered, _ = NameFilter(sought).apply(batch(*map(counter, names)))

    assert frames(filtered) == [batch(counter(name)) for name in names if sought in name]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "missing closing ): `(`"),
        ("[a", "missing closing ]: `[a`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a)", "unexpected ): `a)`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("\\", "trailing backslash at end of expression"),
        ("[z-a]", "invalid character class range: `z-a`"),
    ],
)
def test_a_bad_pattern_is_refused_in_the_words_of_go(pattern: str, message: str) -> None:
    assert refusal(pattern) == message


@pytest.mark.parametrize("pattern", ["a" * (MAX_PATTERN_BYTES + 1), r"\pL{500}"])
def test_a_pattern_has_a_bound_written_and_compiled(pattern: str) -> None:
    assert refusal(pattern) == "expression too large"


def test_text_that_is_not_utf_8_is_refused() -> None:
    assert refusal("\udcff") == "invalid UTF-8"


def test_the_beginning_of_an_endless_name_is_searched() -> None:
    assert kept("x$", counter("x" * MAX_NAME_BYTES + "y")) != []


def test_so_many_names_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_filter, "_MAX_REMEMBERED", 3)
    pattern = NameFilter("1")

    _, count = pattern.apply(batch(*[counter(str(number)) for number in range(20)]))

    assert count == 11
    assert len(pattern._matches) <= 3
