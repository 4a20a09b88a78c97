"""What an Elasticsearch receives, and what its answers for each document mean."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from pydantic import ValidationError

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Gauge, GaugeValue, Log, Timer
from nozzles import elasticsearch
from nozzles.sdk import Batch, SinkDenied, SinkUnavailable
from tests.fakes.http_sink_server import Answer, HttpSinkServer, Posted, http_sink_server, secret_file
from tests.strategies import envelopes

TIME_NS = 1_700_000_000_000_000_007


class Index:
    """Documents by id, as an index with `create` keeps them."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}

    def __call__(self, posted: Posted) -> Answer:
        statuses = []
        for action, document in pairs(posted):
            known = action["create"]["_id"] in self.documents
            self.documents.setdefault(action["create"]["_id"], document)
            statuses.append(409 if known else 201)
        return answer(*statuses)


@pytest.fixture(name="server")
def _server() -> Iterator[HttpSinkServer]:
    with http_sink_server(lambda posted: answer(*[201] * len(pairs(posted)))) as server:
        yield server


def answer(*statuses: int) -> Answer:
    items = [{"create": {"status": status}} for status in statuses]
    return Answer(200, {"errors": any(status >= 400 for status in statuses), "items": items})


def pairs(posted: Posted) -> list[tuple[Any, Any]]:
    lines = [orjson.loads(line) for line in posted.body.splitlines()]
    return list(zip(lines[::2], lines[1::2], strict=True))


def batch_of(*envelopes: Envelope, batch_id: str = "") -> Batch:
    return Batch(EnvelopeBatch(batch=envelopes).SerializeToString(), len(envelopes), batch_id)


def log_of(text: str, **fields: Any) -> Envelope:
    return Envelope(timestamp=TIME_NS, source_id="app", log=Log(payload=text.encode()), **fields)


async def write(server: HttpSinkServer, batch: Batch, **settings: Any) -> None:
    async with elasticsearch.kind.open(elasticsearch.Config(url=server.url, **settings)) as write:
        await write(batch)


async def test_a_document_is_created_in_the_index_of_its_day(server: HttpSinkServer) -> None:
    await write(server, batch_of(log_of("hello", tags={"a.b": "x"}), batch_id="s-1"), index="logs-%Y.%m.%d")

    posted = server.posted[0]
    assert posted.path == "/_bulk"
    assert posted.headers["content-type"] == "application/x-ndjson"
    assert posted.body.endswith(b"\n")
    document = {
        "@timestamp": "2023-11-14T22:13:20.000000007Z",
        "source_id": "app",
        "instance_id": "",
        "labels": {"a_b": "x"},
        "message": "hello",
        "log_type": "OUT",
    }
    assert pairs(posted) == [({"create": {"_index": "logs-2023.11.14", "_id": "s-1-0"}}, document)]


def test_numbers_have_fields_of_their_own() -> None:
    gauge = Gauge(metrics={"a.b": GaugeValue(unit="%", value=float("inf"))})

    assert elasticsearch.document(Envelope(gauge=gauge))["gauge"] == {"a_b": {"value": None, "unit": "%"}}
    counter = elasticsearch.document(Envelope(counter=Counter(name="c", delta=1, total=2)))["counter"]
    assert counter == {"name": "c", "delta": 1, "total": 2}
    timer = elasticsearch.document(Envelope(timer=Timer(name="t", start=3, stop=8)))["timer"]
    assert timer == {"name": "t", "start_ns": 3, "duration_ns": 5}


@pytest.mark.parametrize("failure", [Answer(500), Answer(429), Answer(200, b'{"err', how="half"), answer(201, 429)])
async def test_a_batch_that_comes_again_is_there_once(server: HttpSinkServer, failure: Answer) -> None:
    server.answer = index = Index()
    batch = batch_of(*map(log_of, "abcd"), batch_id="s-7")
    async with elasticsearch.kind.open(elasticsearch.Config(url=server.url, max_documents=2)) as write:
        index(await _first_two(server, write, batch))
        server.answers += [failure]
        with pytest.raises(SinkUnavailable) as caught:
            await write(batch)
        await write(batch)

    assert caught.value.left is None
    assert {name: one["message"] for name, one in index.documents.items()} == {
        f"s-7-{n}": text for n, text in enumerate("abcd")
    }
    assert batch.refused == {}


async def _first_two(server: HttpSinkServer, write: Any, batch: Batch) -> Posted:
    """Have two documents written although the sink says nothing of it."""
    server.answers.append(Answer(502))
    with pytest.raises(SinkUnavailable):
        await write(batch)
    return server.posted[-1]


async def test_what_the_mapping_refuses_is_counted(server: HttpSinkServer) -> None:
    server.answers.append(answer(201, 400, 409))
    batch = batch_of(*map(log_of, "abc"), batch_id="s-1")

    await write(server, batch)

    assert batch.refused == {"refused": 1}


@pytest.mark.parametrize("batch_id", ["", "s-1"])
async def test_documents_that_we_may_not_write_are_no_loss(server: HttpSinkServer, batch_id: str) -> None:
    error = {"type": "security_exception"}
    items = [{"create": {"status": 201}}, {"create": {"status": 403, "error": error}}, {"create": {"status": 400}}]
    server.answers.append(Answer(200, {"errors": True, "items": items}))
    batch = batch_of(*map(log_of, "abc"), batch_id=batch_id)

    with pytest.raises(SinkDenied, match=r"status 403.*security_exception.*; it is told nothing of us") as caught:
        await write(server, batch)

    if batch_id:
        assert (caught.value.left, batch.refused) == (None, {})
    else:
        assert [envelope.log.payload for envelope in caught.value.left or ()] == [b"b"]
        assert batch.refused == {"refused": 1}


async def test_without_an_id_what_is_left_is_named(server: HttpSinkServer) -> None:
    server.answers.append(answer(201, 429, 503))

    with pytest.raises(SinkUnavailable) as caught:
        await write(server, batch_of(*map(log_of, "abc")))

    assert [envelope.log.payload for envelope in caught.value.left or ()] == [b"b", b"c"]
    assert "_id" not in pairs(server.posted[0])[0][0]["create"]


@pytest.mark.parametrize(
    "body", [b"<html>", b'{"errors":true,"items":[]}', b'{"errors":true,"items":[{"x":1}]}', b"[]"]
)
async def test_an_answer_without_sense_is_none(server: HttpSinkServer, body: bytes) -> None:
    server.answers.append(Answer(200, body))

    with pytest.raises(SinkUnavailable):
        await write(server, batch_of(log_of("a")))


async def test_an_api_key_is_sent(server: HttpSinkServer, tmp_path: Path) -> None:
    await write(server, batch_of(log_of("a")), api_key_file=secret_file(tmp_path, "a2V5"), pipeline="p")

    assert server.posted[0].headers["authorization"] == "ApiKey a2V5"
    assert server.posted[0].query["pipeline"] == "p"


@pytest.mark.parametrize("index", ["", "Logs", "_logs", "a/b", "a b"])
def test_what_is_no_index_is_refused(index: str) -> None:
    with pytest.raises(ValidationError, match="not the name of an index"):
        elasticsearch.Config(url="http://h", index=index)


@given(envelopes)
def test_whatever_an_envelope_says_it_has_a_form_or_none(envelope: Envelope) -> None:
    orjson.loads(orjson.dumps(elasticsearch.document(envelope)))
    elasticsearch.action(envelope, "logs-%Y.%m.%d", "b", 0)


def test_a_duration_is_never_larger_than_a_field_holds() -> None:
    timer = Timer(start=(1 << 63) - 1, stop=-(1 << 63))

    assert elasticsearch.document(Envelope(timer=timer))["timer"]["duration_ns"] == 1 - (1 << 63)
