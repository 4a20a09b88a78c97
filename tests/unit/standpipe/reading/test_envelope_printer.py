"""Envelopes on standard output."""

from typing import Any

import orjson
import pytest

from envelope.pb import dropsonde_pb2 as v1
from standpipe.reading.envelope_printer import EnvelopePrinter, palette_for
from standpipe.reading.show import COLOURED, PLAIN
from tests.unit.standpipe.reading.paper import Paper


def _log(text: str) -> bytes:
    log = v1.LogMessage(message=text.encode(), message_type=v1.LogMessage.OUT, timestamp=1)
    return v1.Envelope(origin="o", eventType=v1.Envelope.LogMessage, logMessage=log).SerializeToString()


async def test_one_line_for_each_envelope_and_one_write_for_all() -> None:
    paper = Paper()
    assert await EnvelopePrinter(paper, as_json=False).show([_log("a"), _log("b")])
    assert [line.split()[-1] for line in paper.lines] == [b"a", b"b"]
    assert len(paper.writes) == 1


async def test_json_is_one_object_on_a_line() -> None:
    paper = Paper()
    await EnvelopePrinter(paper, as_json=True).show([_log("a\nb"), _log("c")])
    assert [orjson.loads(line)["message"] for line in paper.lines] == ["a\nb", "c"]


async def test_the_limit_ends_it_within_a_list() -> None:
    paper = Paper()
    printer = EnvelopePrinter(paper, as_json=True, limit=3)
    assert await printer.show([_log("1"), _log("2")])
    assert not await printer.show([_log("3"), _log("4")])
    assert len(paper.lines) == 3


async def test_what_is_no_envelope_is_counted_and_not_printed() -> None:
    paper = Paper()
    printer = EnvelopePrinter(paper, as_json=True, limit=2)
    assert await printer.show([b"\xff", _log("1")])
    assert (printer.undecodable, len(paper.lines)) == (1, 1)


async def test_it_ends_when_nobody_reads() -> None:
    assert not await EnvelopePrinter(Paper(until=1), as_json=True).show([_log("a")])


async def test_no_messages_are_no_reason_to_end() -> None:
    assert await EnvelopePrinter(Paper(), as_json=True).show([])


@pytest.mark.parametrize(
    ("terminal", "environ", "palette"),
    [
        (True, {"TERM": "xterm"}, COLOURED),
        (False, {"TERM": "xterm"}, PLAIN),
        (True, {"NO_COLOR": "1"}, PLAIN),
        (True, {"NO_COLOR": ""}, COLOURED),
        (True, {"TERM": "dumb"}, PLAIN),
    ],
)
def test_colours_are_for_terminals_and_for_those_who_want_them(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, environ: dict[str, str], palette: Any
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    assert palette_for(environ) == palette
