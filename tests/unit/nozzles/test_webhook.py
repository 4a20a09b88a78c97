"""What a webhook receives, and what becomes of what it refuses."""

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from envelope import kernel
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, Log
from nozzles import webhook
from nozzles.sdk import Batch, SinkDenied, SinkRefused, SinkUnavailable
from tests.fakes.http_sink_server import Answer, HttpSinkServer, http_sink_server, secret_file


@pytest.fixture(name="server")
def _server() -> Iterator[HttpSinkServer]:
    with http_sink_server() as server:
        yield server


def batch_of(count: int, batch_id: str = "") -> Batch:
    envelopes = [Envelope(timestamp=n, source_id="app", log=Log(payload=b"hello")) for n in range(count)]
    return Batch(EnvelopeBatch(batch=envelopes).SerializeToString(), count, batch_id)


async def write(server: HttpSinkServer, *batches: Batch, **settings: Any) -> None:
    async with webhook.kind.open(webhook.Config(url=server.url, **settings)) as write:
        for batch in batches:
            await write(batch)


async def test_a_body_is_an_array_of_envelopes(server: HttpSinkServer) -> None:
    batch = batch_of(2)

    await write(server, batch)

    assert server.posted[0].json == [orjson.loads(one) for one in kernel.json_envelopes(batch.data)]
    assert "x-standpipe-signature" not in server.posted[0].headers


async def test_bodies_are_bounded_by_their_envelopes(server: HttpSinkServer) -> None:
    await write(server, batch_of(5), max_envelopes=2)

    assert [len(posted.json) for posted in server.posted] == [2, 2, 1]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
async def test_the_body_before_compression_is_signed(server: HttpSinkServer, tmp_path: Path, compression: str) -> None:
    await write(server, batch_of(2), secret_file=secret_file(tmp_path, "s3cret"), compression=compression)

    posted = server.posted[0]
    signed = posted.headers["x-standpipe-timestamp"].encode() + b"." + posted.body
    expected = hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert posted.headers["x-standpipe-signature"] == f"v1={expected}"


async def test_a_delivery_has_an_id_that_is_the_same_when_it_comes_again(server: HttpSinkServer) -> None:
    await write(server, batch_of(2, "b-1"), batch_of(2, "b-1"), batch_of(2, "b-2"), batch_of(2))

    ids = [posted.headers["x-standpipe-delivery"] for posted in server.posted]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


async def test_what_is_refused_goes_to_the_dead_letter_file(server: HttpSinkServer, tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    server.answers.append(Answer(422, b"what is this"))
    batch = batch_of(3)

    await write(server, batch, dead_letter_file=path, max_envelopes=2)

    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert [line["envelope"]["timestamp"] for line in lines] == ["0", "1"]
    assert lines[0]["refused"] == "HTTP 422: what is this"
    assert path.stat().st_mode & 0o777 == 0o600
    assert batch.refused == {"dead_letter": 2}


async def test_a_full_dead_letter_file_grows_no_more(server: HttpSinkServer, tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    path.write_bytes(b"x" * 1000)
    server.answers.append(Answer(400))
    batch = batch_of(2)

    await write(server, batch, dead_letter_file=path, dead_letter_max_bytes=1024)

    assert path.stat().st_size == 1000
    assert batch.refused == {"refused": 2}


async def test_without_a_file_the_batch_is_refused(server: HttpSinkServer) -> None:
    server.answers.append(Answer(400, b"no"))

    with pytest.raises(SinkRefused, match="HTTP 400: no"):
        await write(server, batch_of(2))


async def test_a_receiver_that_does_not_let_us_in_gets_it_later(server: HttpSinkServer, tmp_path: Path) -> None:
    server.answers.append(Answer(401, b"who are you"))
    batch = batch_of(2)

    with pytest.raises(SinkDenied, match="HTTP 401: who are you; mend token_file"):
        await write(server, batch, token_file=secret_file(tmp_path, "s3cret"), dead_letter_file=tmp_path / "dead")

    assert server.posted[0].headers["authorization"] == "Bearer s3cret"
    assert batch.refused == {}
    assert not (tmp_path / "dead").exists()


async def test_a_body_is_given_up_after_as_many_refusals_as_are_set(server: HttpSinkServer) -> None:
    server.answer = lambda _: Answer(400)

    async with webhook.kind.open(webhook.Config(url=server.url, dead_letter_after=2)) as write:
        with pytest.raises(SinkUnavailable):
            await write(batch_of(1))
        with pytest.raises(SinkRefused):
            await write(batch_of(1))


async def test_what_was_taken_before_the_sink_failed_is_not_left(server: HttpSinkServer) -> None:
    server.answers += [Answer(), Answer(500)]

    with pytest.raises(SinkUnavailable) as caught:
        await write(server, batch_of(3), max_envelopes=2)

    assert caught.value.left is not None
    assert [envelope.timestamp for envelope in caught.value.left] == [2]
