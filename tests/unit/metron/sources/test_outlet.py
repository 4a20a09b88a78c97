"""Lines on their way out."""

from envelope.pb.loggregator_v2_pb2 import Log
from metron.sources.counts import SourceCounts
from metron.sources.outlet import LogSender, envelope_head
from metron.sources.tail import Run
from tests.unit.metron.sources.fakes import FakeOutlet

HEAD = envelope_head("app", "3", {"filename": "/x"})


async def test_every_line_becomes_a_log_envelope_of_its_source() -> None:
    outlet = FakeOutlet()

    await LogSender(outlet, SourceCounts(), lambda: 50).send(Run([b"one", b"", b"\x00\xff"], 9), HEAD, err=False)

    assert [envelope.log.payload for envelope in outlet.envelopes] == [b"one", b"", b"\x00\xff"]
    assert [envelope.timestamp for envelope in outlet.envelopes] == [50, 51, 52]
    first = outlet.envelopes[0]
    assert (first.source_id, first.instance_id, dict(first.tags)) == ("app", "3", {"filename": "/x"})
    assert first.log.type == Log.OUT


async def test_lines_can_be_errors() -> None:
    outlet = FakeOutlet()

    await LogSender(outlet, SourceCounts(), lambda: 0).send(Run([b"boom"], 5), HEAD, err=True)

    assert outlet.envelopes[0].log.type == Log.ERR


async def test_lines_are_counted() -> None:
    counts = SourceCounts()

    await LogSender(FakeOutlet(), counts, lambda: 0).send(Run([b"lo", b"ng"], 5, long_lines=1), HEAD, err=False)

    assert (counts.lines_read, counts.long_lines) == (2, 1)


async def test_a_run_without_lines_settles_at_once_and_sends_nothing() -> None:
    outlet = FakeOutlet(settles=False)
    settled: list[bool] = []

    await LogSender(outlet, SourceCounts(), lambda: 0).send(
        Run([], 5), HEAD, err=False, settled=lambda: settled.append(True)
    )

    assert settled == [True]
    assert outlet.batches == []
