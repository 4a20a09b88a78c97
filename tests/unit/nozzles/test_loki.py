"""What a Loki receives, and what becomes of lines that it does not take."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Event, Log
from nozzles import loki
from nozzles.sdk import Batch, SinkRefused, SinkUnavailable
from tests.fakes.http_sink_server import Answer, HttpSinkServer, http_sink_server, secret_file
from tests.strategies import envelopes

IGNORED = b"entry with timestamp 1 ignored, reason: 'entry too far behind',\nuser 'fake', total ignored: 1 out of 2"


@pytest.fixture(name="server")
def _server() -> Iterator[HttpSinkServer]:
    with http_sink_server(lambda _: Answer(204)) as server:
        yield server


def batch_of(*envelopes: Envelope) -> Batch:
    return Batch(EnvelopeBatch(batch=envelopes).SerializeToString(), len(envelopes))


def log_of(timestamp: int, source: str = "app", **tags: str) -> Envelope:
    log = Log(payload=f"line {timestamp}".encode())
    return Envelope(timestamp=timestamp, source_id=source, instance_id="0", tags=tags, log=log)


async def write(server: HttpSinkServer, batch: Batch, **settings: Any) -> None:
    async with loki.kind.open(loki.Config(url=server.url, **settings)) as write:
        await write(batch)


async def test_lines_are_pushed_by_stream_and_in_the_order_of_time(server: HttpSinkServer) -> None:
    batch = batch_of(log_of(2, source_type="APP"), log_of(3, "other"), log_of(1, source_type="APP", **{"a.b": "x"}))

    await write(server, batch, labels={"env": "prod"})

    posted = server.posted[0]
    assert posted.path == "/loki/api/v1/push"
    assert posted.headers["content-encoding"] == "gzip"
    app = {"env": "prod", "source_id": "app", "instance_id": "0", "source_type": "APP"}
    assert posted.json == {
        "streams": [
            {
                "stream": app,
                "values": [["1", "line 1", {"log_type": "OUT", "a_b": "x"}], ["2", "line 2", {"log_type": "OUT"}]],
            },
            {
                "stream": {"env": "prod", "source_id": "other", "instance_id": "0"},
                "values": [["3", "line 3", {"log_type": "OUT"}]],
            },
        ]
    }


async def test_numbers_are_left_out_and_events_are_lines(server: HttpSinkServer) -> None:
    batch = batch_of(Envelope(counter=Counter(name="c")), Envelope(event=Event(title="t", body="b")))

    await write(server, batch)

    assert (batch.skipped, batch.refused) == (1, {})
    assert server.posted[0].json == {"streams": [{"stream": {"source_id": "unknown"}, "values": [["0", "t: b"]]}]}


async def test_a_batch_without_lines_is_not_pushed(server: HttpSinkServer) -> None:
    batch = batch_of(Envelope(counter=Counter(name="c")))

    await write(server, batch)

    assert server.posted == []
    assert batch.skipped == 1


async def test_metadata_can_be_left_out(server: HttpSinkServer) -> None:
    await write(server, batch_of(log_of(1)), structured_metadata=False)

    assert server.posted[0].json["streams"][0]["values"] == [["1", "line 1"]]


async def test_tenant_and_token_are_sent(server: HttpSinkServer, tmp_path: Path) -> None:
    await write(server, batch_of(log_of(1)), tenant="t1", token_file=secret_file(tmp_path, "a-token"))

    headers = server.posted[0].headers
    assert (headers["x-scope-orgid"], headers["authorization"]) == ("t1", "Bearer a-token")


async def test_a_password_is_sent(server: HttpSinkServer, tmp_path: Path) -> None:
    await write(server, batch_of(log_of(1)), username="me", password_file=secret_file(tmp_path, "secret"))

    assert server.posted[0].headers["authorization"] == "Basic bWU6c2VjcmV0"


async def test_lines_out_of_order_are_counted(server: HttpSinkServer) -> None:
    server.answers.append(Answer(400, IGNORED))
    batch = batch_of(log_of(1), log_of(2))

    await write(server, batch)

    assert batch.refused == {"refused": 1}


async def test_streams_that_are_refused_together_are_tried_alone(server: HttpSinkServer) -> None:
    server.answers += [Answer(400, IGNORED), Answer(204), Answer(400, b"line too long")]
    batch = batch_of(log_of(1, "a"), log_of(2, "b"), log_of(3, "b"))

    await write(server, batch)

    assert [len(posted.json["streams"]) for posted in server.posted] == [2, 1, 1]
    assert batch.refused == {"refused": 2}


async def test_a_stream_that_is_refused_whole_says_why(server: HttpSinkServer) -> None:
    server.answers.append(Answer(400, b"stream limit"))

    with pytest.raises(SinkRefused, match="stream limit"):
        await write(server, batch_of(log_of(1)))


async def test_the_rate_limit_makes_it_wait(server: HttpSinkServer) -> None:
    server.answers.append(Answer(429, b"slow down", headers={"Retry-After": "2"}))

    with pytest.raises(SinkUnavailable) as caught:
        await write(server, batch_of(log_of(1)))

    assert caught.value.retry_after_s == 2


def test_two_ways_to_authenticate_are_refused() -> None:
    with pytest.raises(ValidationError, match="exclude"):
        loki.Config(url="http://h", username="me", password_file=Path("p"), token_file=Path("t"))


@given(envelopes)
def test_whatever_an_envelope_says_it_has_a_form_or_none(envelope: Envelope) -> None:
    line = loki.line_of(envelope, loki.Config(url="http://h"))

    assert (line is not None) == (envelope.WhichOneof("message") in ("log", "event"))
