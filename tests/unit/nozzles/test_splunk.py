"""What a Splunk HTTP Event Collector receives, and what its answers mean."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Event, Gauge, GaugeValue, Log, Timer
from nozzles import splunk
from nozzles.sdk import Batch, SinkRefused, SinkUnavailable
from tests.fakes.http_sink_server import Answer, HttpSinkServer, Posted, http_sink_server, secret_file
from tests.strategies import envelopes

TIME_NS = 1_700_000_000_123_456_789


@pytest.fixture(name="server")
def _server() -> Iterator[HttpSinkServer]:
    with http_sink_server(lambda _: Answer(200, {"text": "Success", "code": 0})) as server:
        yield server


def batch_of(*envelopes: Envelope) -> Batch:
    return Batch(EnvelopeBatch(batch=envelopes).SerializeToString(), len(envelopes))


def log_of(text: str, **fields: Any) -> Envelope:
    return Envelope(timestamp=TIME_NS, source_id="app", instance_id="0", log=Log(payload=text.encode()), **fields)


def events(posted: Posted) -> list[Any]:
    return [orjson.loads(line) for line in posted.body.splitlines()]


async def write(server: HttpSinkServer, directory: Path, batch: Batch, **settings: Any) -> None:
    token = secret_file(directory, "the-token")
    async with splunk.kind.open(splunk.Config(url=server.url, token_file=token, **settings)) as write:
        await write(batch)


async def test_a_log_is_an_event(server: HttpSinkServer, tmp_path: Path) -> None:
    await write(server, tmp_path, batch_of(log_of("hello", tags={"job": "web"})), index="main")

    posted = server.posted[0]
    assert posted.path == "/services/collector/event"
    assert posted.headers["authorization"] == "Splunk the-token"
    assert posted.headers["content-encoding"] == "gzip"
    fields = {"job": "web", "log_type": "OUT", "source_id": "app", "instance_id": "0"}
    head = {"time": 1700000000.123, "host": "0", "source": "app", "sourcetype": "standpipe", "index": "main"}
    assert events(posted) == [{**head, "event": "hello", "fields": fields}]


async def test_numbers_are_metrics(server: HttpSinkServer, tmp_path: Path) -> None:
    gauge = Gauge(metrics={"cpu": GaugeValue(unit="%", value=0.5), "bad": GaugeValue(unit="%", value=float("nan"))})
    batch = batch_of(
        Envelope(source_id="app", counter=Counter(name="hits", delta=1, total=9)),
        Envelope(source_id="app", gauge=gauge, tags={"metric_name:x": "1", "job": "web"}),
        Envelope(source_id="app", timer=Timer(name="http", start=0, stop=2_500_000)),
    )

    await write(server, tmp_path, batch, metrics_index="numbers")

    made = events(server.posted[0])
    assert {event["event"] for event in made} == {"metric"}
    assert {event["index"] for event in made} == {"numbers"}
    origin = {"source_id": "app", "instance_id": ""}
    assert made[0]["fields"] == {**origin, "metric_name:hits": 9.0}
    assert made[1]["fields"] == {**origin, "metric_name:cpu": 0.5, "unit": "%", "job": "web"}
    assert made[2]["fields"] == {**origin, "metric_name:http": 2.5, "unit": "ms"}


async def test_what_has_no_form_is_left_out(server: HttpSinkServer, tmp_path: Path) -> None:
    batch = batch_of(Envelope(), log_of(" "), Envelope(counter=Counter(name="hits")), Envelope(event=Event(title="t")))

    await write(server, tmp_path, batch, metrics=False)

    assert [event["event"] for event in events(server.posted[0])] == [{"title": "t", "body": ""}]
    assert (batch.skipped, batch.refused) == (3, {})


async def test_the_others_are_sent_without_an_invalid_event(server: HttpSinkServer, tmp_path: Path) -> None:
    server.answers.append(Answer(400, {"text": "Invalid data format", "code": 6, "invalid-event-number": 1}))
    batch = batch_of(log_of("a"), log_of("b"), log_of("c"))

    await write(server, tmp_path, batch)

    assert [event["event"] for event in events(server.posted[1])] == ["a", "c"]
    assert batch.refused == {"invalid": 1}


async def test_an_incorrect_index_refuses_all(server: HttpSinkServer, tmp_path: Path) -> None:
    server.answers.append(Answer(400, {"text": "Incorrect index", "code": 7, "invalid-event-number": 0}))

    with pytest.raises(SinkRefused, match="Incorrect index"):
        await write(server, tmp_path, batch_of(log_of("a"), log_of("b")))


async def test_a_busy_collector_is_unavailable(server: HttpSinkServer, tmp_path: Path) -> None:
    server.answers.append(Answer(503, {"text": "Server is busy", "code": 9}))

    with pytest.raises(SinkUnavailable, match="Server is busy"):
        await write(server, tmp_path, batch_of(log_of("a")))


@given(envelopes)
def test_whatever_an_envelope_says_it_has_a_form_or_none(envelope: Envelope) -> None:
    config = splunk.Config(url="http://h", token_file=Path("t"))
    made = [splunk.event_of(envelope, config), splunk.metric_of(envelope, config)]

    assert sum(one is not None for one in made) <= 1
    orjson.dumps(made)
