"""Joining loses and invents nothing: as many envelopes come out as went in, and every line is in one message."""

from hypothesis import given
from hypothesis import strategies as st

from envelope import kernel
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, Log
from syslog_adapter.multiline import Bounds, Joiner
from tests.unit.syslog_adapter.lines import counter, lines, of, texts

INDENTED = r"^\s"


def said(batch: bytes) -> list[str]:
    """What the messages say, those that are none left out."""
    return texts(kernel.select(batch, int(Kind.LOG))[0])


def test_lines_that_continue_are_joined_to_the_one_before() -> None:
    joiner = Joiner.of(INDENTED, "")
    out = joiner.add(lines("Error", "  at a\n", "  at b", "next"), 0.0)

    assert said(out) == ["Error\n  at a\n  at b"]
    assert len(EnvelopeBatch.FromString(out).batch) == 3
    assert (joiner.held, joiner.due_at) == (1, 1.0)
    assert joiner.release(0.9) == b""
    assert joiner.release(1.0) == lines("next")


def test_lines_up_to_the_next_start_are_joined() -> None:
    joiner = Joiner.of("", r"^\d")
    out = joiner.add(lines("stray", "1 one", "more", "2 two"), 0.0)

    assert said(out + joiner.release(1.0)) == ["stray", "1 one\nmore", "2 two"]


def test_streams_are_joined_each_for_itself_and_the_rest_passes() -> None:
    joiner = Joiner.of(INDENTED, "")
    error = Envelope(source_id="app", log={"payload": b" beside", "type": Log.ERR})
    other = Envelope(source_id="app", instance_id="1", log={"payload": b" beside"})
    router = Envelope(source_id="app", tags={"source_type": "RTR"}, log={"payload": b" beside"})
    batch = lines("a") + of([error, other, router, counter()]) + lines(" of a") + lines(" beside", source_id="b")

    assert joiner.add(batch, 0.0) == of([counter()])
    assert joiner.held == 6
    assert said(joiner.release(1.0)) == ["a\n of a", " beside", " beside", " beside", " beside"]


def test_one_message_has_bounds() -> None:
    joiner = Joiner(lambda _: True, Bounds(lines=2))
    assert said(joiner.add(lines(*"abc"), 0.0) + joiner.release(1.0)) == ["a\nb", "c"]

    joiner = Joiner(lambda _: True, Bounds(bytes=2 * len(lines("a"))))
    assert said(joiner.add(lines(*"abc"), 0.0) + joiner.release(1.0)) == ["a\nb", "c"]


def test_all_that_waits_has_bounds() -> None:
    joiner = Joiner(lambda _: True, Bounds(streams=1))
    assert said(joiner.add(lines("1") + lines("2", source_id="other"), 0.0)) == ["1"]

    joiner = Joiner(lambda _: True, Bounds(held_bytes=len(lines("1"))))
    assert said(joiner.add(lines("1") + lines("22", source_id="other"), 0.0)) == ["1", "22"]


def test_what_has_no_form_is_not_joined_so_that_it_is_counted() -> None:
    joiner = Joiner(lambda _: True)
    bad = of([Envelope(source_id="app", tags={"no name": ""}, log={"payload": b"bad"})])

    assert joiner.add(bad + lines(" a"), 0.0) == b""
    assert joiner.release(1.0) == bad + lines(" a")


said_lines = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["x", " y", "z\n", ""]), st.integers(0, 1), st.integers(0, 2))
)


@given(said_lines, st.integers(1, 4), st.integers(1, 200), st.integers(1, 2))
def test_every_line_is_in_one_message_and_in_order(
    sent: list[tuple[str, str, int, int]], most_lines: int, most_bytes: int, streams: int
) -> None:
    bounds = Bounds(lines=most_lines, bytes=most_bytes, streams=streams)
    joiner, now, out = Joiner(lambda text: text.startswith(b" "), bounds), 0.0, b""
    for number, (source, text, metric, pause) in enumerate(sent):
        now += pause
        batch = lines(f"{text}{number}", source_id=source) + of([counter(source)] * metric)
        before = joiner.held
        piece = joiner.add(batch, now) + joiner.release(now)
        assert len(EnvelopeBatch.FromString(piece).batch) == before + 1 + metric - joiner.held
        assert joiner.due_at > now
        out += piece
    out += joiner.release(float("inf"))

    found = EnvelopeBatch.FromString(out).batch
    assert len(found) == len(sent) + sum(metric for *_, metric, _ in sent)
    for source in "ab":
        joined = [each.log.payload.decode() for each in found if each.source_id == source and each.HasField("log")]
        came = [f"{text}{number}" for number, (whose, text, *_) in enumerate(sent) if whose == source]
        assert "\n".join(joined) == "\n".join(came)
        assert all(message.count("\n ") < most_lines for message in joined)
    assert joiner.held == 0


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_payload_may_be_joined(first: bytes, second: bytes) -> None:
    joiner = Joiner.of(INDENTED, "")
    batch = of(Envelope(source_id="app", log={"payload": payload}) for payload in (first, second))
    out = joiner.add(batch, 0.0) + joiner.release(1.0)

    assert len(EnvelopeBatch.FromString(out).batch) == 2
