"""`standpipe top`, from the firehose to the table."""

import re

import orjson
import pytest

from envelope.pb import dropsonde_pb2 as v1
from standpipe.commands import top as module
from standpipe.commands.top import Order, as_object, top
from standpipe.errors import NotRunning
from standpipe.reading.traffic import Load, Traffic
from tests.fakes.firehose import hang_on, messages, says
from tests.unit.standpipe.commands.conftest import FakeSystem
from tests.unit.standpipe.reading.paper import Paper


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    paper = Paper()
    monkeypatch.setattr(module, "Stdout", lambda: paper)
    return paper


def _log(source: str, text: str = "") -> bytes:
    log = v1.LogMessage(message=text.encode(), message_type=v1.LogMessage.ERR, timestamp=1)
    return v1.Envelope(
        origin="o", eventType=v1.Envelope.LogMessage, logMessage=log, tags={"source_id": source}
    ).SerializeToString()


def test_once_is_one_table(fake_system: FakeSystem, paper: Paper) -> None:
    fake_system.scripts = [says(messages(_log("shop"), _log("shop"), _log("cart")), then=hang_on)]
    top(once=True, data_dir=fake_system.data_dir)
    heading, columns, *rows = [line.decode() for line in paper.lines]
    assert heading.startswith("2 sources   ")
    assert columns.split() == ["source", "envelopes/s", "bytes/s", "errors/s"]
    assert [row.split()[0] for row in rows] == ["shop", "cart"]


def test_each_interval_is_one_object(fake_system: FakeSystem, paper: Paper) -> None:
    fake_system.scripts = [says(messages(_log("shop")), then=hang_on)]
    top(count=2, as_json=True, data_dir=fake_system.data_dir)
    first, second = [orjson.loads(line) for line in paper.lines]
    assert [source["source_id"] for source in first["sources"]] == ["shop"]
    assert second["sources"] == []


def test_it_reads_under_a_name_of_its_own(fake_system: FakeSystem, paper: Paper) -> None:
    fake_system.scripts = [says(b"", then=hang_on)]
    top(once=True, data_dir=fake_system.data_dir)
    assert re.fullmatch("/firehose/top-[0-9a-f]{8}", fake_system.dialled[0].path)


def test_it_ends_when_nobody_reads_the_output(fake_system: FakeSystem, paper: Paper) -> None:
    paper.until = 1
    fake_system.scripts = [says(b"", then=hang_on)]
    top(data_dir=fake_system.data_dir)
    assert len(paper.writes) == 1


def test_nobody_there_is_not_running(fake_system: FakeSystem, paper: Paper) -> None:
    with pytest.raises(NotRunning, match="Connection refused"):
        top(data_dir=fake_system.data_dir)


def test_no_source_can_play_tricks_on_the_terminal(fake_system: FakeSystem, paper: Paper) -> None:
    fake_system.scripts = [says(messages(_log("\x1b[2J[bold]evil")), then=hang_on)]
    top(once=True, data_dir=fake_system.data_dir)
    assert rb"\x1b[2J[bold]evil" in paper.writes[0]


def test_rates_are_of_a_second() -> None:
    traffic = Traffic(sources={"a": Load(10, 1_000, 5)}, total=Load(20, 3_000, 5), forgotten=3, dropped=7)
    assert as_object(traffic, 2.0, Order.RATE) == {
        "seconds": 2.0,
        "envelopes_per_s": 10.0,
        "bytes_per_s": 1_500.0,
        "errors_per_s": 2.5,
        "dropped": 7,
        "undecodable": 0,
        "forgotten_sources": 3,
        "sources": [{"source_id": "a", "envelopes_per_s": 5.0, "bytes_per_s": 500.0, "errors_per_s": 2.5}],
    }


@pytest.mark.parametrize(("order", "first"), [(Order.RATE, "many"), (Order.BYTES, "big"), (Order.ERRORS, "bad")])
def test_the_order_is_as_asked(order: Order, first: str) -> None:
    traffic = Traffic(sources={"bad": Load(1, 1, 1), "big": Load(2, 99, 0), "many": Load(9, 9, 0)})
    assert as_object(traffic, 1.0, order)["sources"][0]["source_id"] == first
