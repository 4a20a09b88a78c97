"""The compiled kernel at its extremes: the largest, the most, the malformed; and when it needs the reference."""

from typing import Any

import orjson
import pytest

from envelope import reference
from envelope.errors import DecodeError
from envelope.framing import frame
from envelope.kinds import Keep, Kind
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.tags import TagRewriter
from tests.kernel_batches import DEFAULTS, EVERY_NAME, container, log, timer
from tests.kernel_results import (
    outcome,
    protobufs_json,
    same_envelopes,
    same_frames,
    same_json,
)
from tests.strategies import (
    batch_of,
    parsed,
)

compiled = pytest.importorskip("envelope._compiled")


@pytest.mark.parametrize("entries", [0, 1, 63, 64, 65, 200])
def test_every_number_of_entries_fits(entries: int) -> None:
    names = [f"{number}\0" for number in range(entries)]
    tags, values = dict.fromkeys(names, "\0"), dict.fromkeys(names, v2.Value(decimal=-2.2250738585072014e-308))
    metrics = dict.fromkeys(names, v2.GaugeValue(value=-2.2250738585072014e-308))
    batch = batch_of(v2.Envelope(tags=tags, deprecated_tags=values, gauge=v2.Gauge(metrics=metrics)))

    assert orjson.loads(compiled.json_batch(batch)) == protobufs_json(batch)


@pytest.mark.parametrize("size", [0, 1, 100, 125, 126, 127, 128, 65_000, 66_000, 2**21 - 100, 2**21, 2**22])
@pytest.mark.parametrize(
    "make",
    [
        lambda text: log(source_id=text, instance_id=text, tags={"origin": text, "ip": text, "colour": text}),
        lambda text: timer(uri=text, forwarded="\n" * len(text)),
        lambda text: container(source_id=text, tags={"job": text}),
        lambda text: v2.Envelope(gauge={"metrics": {text: {"unit": text}, "a": {}}}, instance_id=text),
        lambda text: v2.Envelope(counter={"name": text}, tags={text: text}, instance_id=text),
    ],
)
def test_every_size_of_text_fits(make: Any, size: int) -> None:
    one = batch_of(make("x" * size))

    assert compiled.admit(one) == reference.admit(one)
    assert same_frames(compiled.v1_frames(one, Keep.ALL)) == same_frames(reference.v1_frames(one, Keep.ALL))
    assert same_envelopes(compiled.converge(one, False)) == same_envelopes(reference.converge(one, False))
    assert same_json(outcome(compiled.json_batch, one)) == same_json(outcome(reference.json_batch, one))
    assert compiled.syslog(one, b"h", Kind.ALL, True, True) == reference.syslog(one, b"h", Kind.ALL, True, True)
    assert compiled.deal(one * 2) == reference.deal(one * 2)
    assert compiled.samples(one * 2, EVERY_NAME) == reference.samples(one * 2, EVERY_NAME)


@pytest.mark.parametrize("tags", [1, 63, 64, 65, 5000])
@pytest.mark.parametrize("message", [b"\x22\x00", b"\x2a\x00", b"\x32\x02\x0a\x00", b"\x3a\x00"])
def test_the_empty_tag_which_grows_most_fits(tags: int, message: bytes) -> None:
    one = frame(b"\x4a\x00" * tags + message)

    assert same_frames(compiled.v1_frames(one, Keep.ALL)) == same_frames(reference.v1_frames(one, Keep.ALL))
    assert same_envelopes(compiled.converge(one, False)) == same_envelopes(reference.converge(one, False))
    assert same_json(outcome(compiled.json_batch, one)) == same_json(outcome(reference.json_batch, one))


def test_ordinary_traffic_never_needs_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = {"deployment": "cf", "job": "cell", "index": "0", "ip": "10.0.0.1", "origin": "rep", "colour": "grün"}
    http = {"peer_type": "Server", "method": "GET", "uri": "/", "status_code": "200", "forwarded": "a\nb"}
    batch = batch_of(
        log(timestamp=1, source_id="app", instance_id="3", tags={**tags, "source_type": "APP"}),
        timer(**tags, **http),
        container(timestamp=-1, source_id="app", instance_id="7", tags=tags),
        v2.Envelope(source_id="app", tags=tags, gauge={"metrics": {"latency": {"unit": "ms", "value": -1.5}}}),
        v2.Envelope(source_id="app", tags=tags, counter=v2.Counter(name="requests", delta=1, total=2**64 - 1)),
        v2.Envelope(source_id="app", tags=tags, event=v2.Event(title="deployed", body="twice")),
        v2.Envelope(source_id="app", tags=tags),
    )
    monkeypatch.setattr(compiled, "reference", None)

    assert compiled.admit(batch) == (batch, 7, Kind.ALL, 0)
    assert len(compiled.spans(batch)) == 7
    assert compiled.select(batch, Kind.LOG | Kind.EVENT)[1] == 2
    assert compiled.split(batch, {b"app"})[b"app"][1] == 6
    assert len(compiled.deal(batch)) == 2
    assert len(compiled.samples(batch, EVERY_NAME)) == 8
    assert len(compiled.tag(batch, DEFAULTS, bytes)) > len(batch)
    assert len(compiled.converge(batch, False)) > len(batch)
    assert compiled.converge(batch, True) is batch
    assert compiled.v1_frames(batch, Keep.ALL)[1:] == (5, 2)
    assert compiled.syslog(batch, b"host", Kind.ALL, True, True)[2:] == (6, 1, 0)
    assert compiled.json_batch(batch).count(b'"timestamp"') == len(compiled.json_envelopes(batch)) == 7


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("spans", ()),
        ("select", (Kind.LOG,)),
        ("split", ({b"app"},)),
        ("deal", ()),
        ("samples", (EVERY_NAME,)),
        ("tag", (DEFAULTS, bytes)),
        ("converge", (True,)),
        ("converge", (False,)),
        ("v1_frames", (Keep.ALL,)),
        ("v1_messages", ()),
        ("syslog", (b"host", Kind.ALL, True, True)),
        ("json_batch", ()),
        ("json_envelopes", ()),
    ],
)
def test_a_malformed_envelope_is_told_by_where_it_stands_in_the_batch(name: str, arguments: tuple[Any, ...]) -> None:
    before = batch_of(log(source_id="app"), timer())
    batch = before + frame(b"\x12\x05app") + before

    refusal = outcome(getattr(compiled, name), batch, *arguments)

    assert refusal == outcome(getattr(reference, name), batch, *arguments)
    assert refusal[1].startswith(f"malformed envelope at byte {len(before)}:")


@pytest.mark.parametrize("last", [b"\x12\x05app", b"\x2a\x00\x4a\x03\x0a\x01\xff"], ids=["cut off", "not UTF-8"])
def test_a_counter_is_rewritten_once_though_a_later_envelope_is_refused(last: bytes) -> None:
    batch = batch_of(v2.Envelope(source_id="a", counter=v2.Counter(delta=1))) + frame(last)
    refusals, totals = [], []
    for kernel in (compiled, reference):
        rewriter = TagRewriter({})
        refusals.append(outcome(kernel.tag, batch, rewriter.defaults, rewriter.rewrite))
        again = kernel.tag(batch_of(v2.Envelope(source_id="a", counter=v2.Counter(delta=1))), b"", rewriter.rewrite)
        totals.append(parsed(again)[0].counter.total)

    assert refusals[0] == refusals[1]
    assert refusals[0][0] == "refused"
    assert totals == [2, 2]


def test_what_the_rewriter_says_of_an_envelope_is_not_changed() -> None:
    def rewrite(envelope: bytes) -> bytes:
        raise DecodeError("not to my taste")

    batch = batch_of(log(source_id="app"), log())

    assert outcome(compiled.tag, batch, DEFAULTS, rewrite) == ("refused", "not to my taste")


def test_what_is_not_bytes_is_refused_and_not_read() -> None:
    with pytest.raises(TypeError):
        compiled.admit(None)
    with pytest.raises(TypeError):
        compiled.log_batch([b"line", None], b"", 0, False)
    with pytest.raises(TypeError):
        compiled.tag(batch_of(v2.Envelope(counter=v2.Counter())), b"", lambda _: None)
