"""What Datadog receives: logs and series."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Event, Gauge, GaugeValue, Log, Timer
from nozzles import datadog
from nozzles.sdk import Batch, SinkUnavailable
from tests.fakes.http_sink_server import Answer, HttpSinkServer, http_sink_server, secret_file
from tests.strategies import envelopes

TIME_NS = 1_700_000_000_123_456_789


@pytest.fixture(name="server")
def _server() -> Iterator[HttpSinkServer]:
    with http_sink_server(lambda _: Answer(202, {})) as server:
        yield server


def batch_of(*envelopes: Envelope) -> Batch:
    return Batch(EnvelopeBatch(batch=envelopes).SerializeToString(), len(envelopes))


def log_of(text: str, **tags: str) -> Envelope:
    return Envelope(timestamp=TIME_NS, source_id="app", tags=tags, log=Log(payload=text.encode(), type=Log.ERR))


def count_of(delta: int, at_ns: int = TIME_NS) -> Envelope:
    return Envelope(timestamp=at_ns, source_id="app", counter=Counter(name="hits", delta=delta, total=99))


async def write(server: HttpSinkServer, directory: Path, batch: Batch, **settings: Any) -> None:
    key = secret_file(directory, "the-key")
    config = datadog.Config(url=server.url, metrics_url=server.url, api_key_file=key, **settings)
    async with datadog.kind.open(config) as write:
        await write(batch)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_a_log_arrives(server: HttpSinkServer, tmp_path: Path, compression: str) -> None:
    batch = batch_of(log_of("hello", job="a,b", ip="10.0.0.1"))

    await write(server, tmp_path, batch, compression=compression, ddtags=("env:prod",))

    posted = server.posted[0]
    assert posted.path == "/api/v2/logs"
    assert posted.headers["dd-api-key"] == "the-key"
    assert posted.headers["content-encoding"] == compression
    assert posted.json == [
        {
            "message": "hello",
            "status": "error",
            "timestamp": 1_700_000_000_123,
            "ddsource": "standpipe",
            "ddtags": "env:prod,ip:10.0.0.1,job:a_b,source_id:app",
            "hostname": "10.0.0.1",
            "service": "app",
        }
    ]


async def test_a_request_has_a_thousand_logs_at_most(server: HttpSinkServer, tmp_path: Path) -> None:
    await write(server, tmp_path, batch_of(*[log_of("x")] * 1001))

    assert [len(posted.json) for posted in server.posted] == [1000, 1]


async def test_a_long_line_is_cut(server: HttpSinkServer, tmp_path: Path) -> None:
    await write(server, tmp_path, batch_of(log_of("x" * 1_000_001)))

    assert len(server.posted[0].json[0]["message"]) == datadog.MAX_LOG_BYTES


async def test_counts_of_one_second_are_added_up(server: HttpSinkServer, tmp_path: Path) -> None:
    batch = batch_of(count_of(2), count_of(3), count_of(4, TIME_NS + 10**9))

    await write(server, tmp_path, batch, hostname="h", metric_prefix="cf.")

    posted = server.posted[0]
    assert posted.path == "/api/v2/series"
    alike = {"metric": "cf.hits", "type": 1, "resources": [{"name": "h", "type": "host"}], "tags": ["source_id:app"]}
    assert posted.json == {
        "series": [
            {**alike, "points": [{"timestamp": 1_700_000_000, "value": 5.0}]},
            {**alike, "points": [{"timestamp": 1_700_000_001, "value": 4.0}]},
        ]
    }


async def test_gauges_and_timers_are_gauges(server: HttpSinkServer, tmp_path: Path) -> None:
    gauge = Gauge(metrics={"cpu": GaugeValue(unit="percent", value=0.5), "": GaugeValue(value=1)})
    batch = batch_of(Envelope(gauge=gauge), Envelope(timer=Timer(name="http", start=0, stop=1_500_000)))

    await write(server, tmp_path, batch)

    point = {"timestamp": 0}
    assert server.posted[0].json["series"] == [
        {"metric": "cpu", "type": 3, "unit": "percent", "points": [{**point, "value": 0.5}], "tags": []},
        {"metric": "http", "type": 3, "unit": "millisecond", "points": [{**point, "value": 1.5}], "tags": []},
    ]


async def test_what_has_no_form_is_left_out(server: HttpSinkServer, tmp_path: Path) -> None:
    gauge = Gauge(metrics={"cpu": GaugeValue(value=float("nan"))})
    batch = batch_of(Envelope(), Envelope(gauge=gauge), Envelope(timer=Timer(name="http", stop=1)))

    await write(server, tmp_path, batch, timers="none")

    assert server.posted == []
    assert (batch.skipped, batch.refused) == (3, {})


async def test_logs_and_metrics_are_left_apart(server: HttpSinkServer, tmp_path: Path) -> None:
    server.answers += [Answer(202), Answer(429, headers={"Retry-After": "5"})]
    batch = batch_of(count_of(1), log_of("a"), Envelope(event=Event(title="t", body="b")), count_of(2))

    with pytest.raises(SinkUnavailable) as caught:
        await write(server, tmp_path, batch)

    assert [envelope.counter.delta for envelope in caught.value.left or ()] == [1, 2]
    assert caught.value.retry_after_s == 5
    assert [log["message"] for log in server.posted[0].json] == ["a", "t: b"]


async def test_a_payload_that_is_too_large_goes_in_halves(server: HttpSinkServer, tmp_path: Path) -> None:
    server.answers.append(Answer(413))

    await write(server, tmp_path, batch_of(log_of("a"), log_of("b")))

    assert [len(posted.json) for posted in server.posted] == [2, 1, 1]


def test_addresses_are_those_of_the_site() -> None:
    assert datadog.Config(api_key_file=Path("key")).site == "datadoghq.com"


@given(envelopes)
def test_whatever_an_envelope_says_it_has_a_form_or_none(envelope: Envelope) -> None:
    config = datadog.Config(api_key_file=Path("k"))
    batch = batch_of(envelope)

    assert len(datadog.log_items(batch, config)) + len(datadog.series_items(batch, config)) <= 1
