"""The SSE gateway as clients of the original see it, on real dopplers (loggregator.md 3.2), and resuming a stream."""

import json
import ssl
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import h11
import httpx
import pytest
import trio
from google.protobuf import json_format

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.config import parse_listen
from plumbing.lifecycle import Ports
from plumbing.tls import client_context
from plumbing.tokens import TokenStore
from tests.running import accounts, dial, eventually, get, running

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"


@dataclass
class Event:
    """One block of a stream, as a browser's EventSource would take it."""

    kind: str
    data: str
    id: str
    comments: list[str]

    @property
    def payloads(self) -> list[bytes]:
        return [envelope.log.payload for envelope in self.batch.batch]

    @property
    def batch(self) -> v2.EnvelopeBatch:
        return json_format.Parse(self.data, v2.EnvelopeBatch())


@dataclass
class Pipeline:
    """A doppler, a reverse log proxy with a gateway on it, and what a client needs."""

    doppler: Ports
    proxy: Ports
    certs: Path
    tokens: TokenStore
    channel: grpc.Channel
    context: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://{self.proxy['gateway']}"

    def admin(self) -> str:
        return self.tokens.ensure_admin_token(time.time()).read_text()

    def headers(self, token: str | None = "", last_id: str = "") -> dict[str, str]:
        token = self.admin() if token == "" else token
        headers = {} if token is None else {"Authorization": f"bearer {token}"}
        return headers | ({"Last-Event-ID": last_id} if last_id else {})

    @asynccontextmanager
    async def open(self, target: str = "/v2/read?log", **who: str | None) -> AsyncIterator["Reading"]:
        """Open a stream; leaving it breaks its connection."""
        tcp = await trio.open_tcp_stream(*parse_listen(self.proxy["gateway"]))
        stream = trio.SSLStream(tcp, self.context, server_hostname="127.0.0.1", https_compatible=True)
        try:
            reading = Reading(stream)
            await reading.ask(target, self.headers(**who))
            assert reading.answer.status_code == 200
            yield reading
        finally:
            await trio.aclose_forcefully(stream)

    async def ask(self, target: str, method: str = "GET", **who: str | None) -> httpx.Response:
        async with httpx.AsyncClient(verify=self.context, trust_env=False, timeout=20) as client:
            return await client.request(method, self.url + target, headers=self.headers(**who))

    async def send(self, *envelopes: v2.Envelope) -> None:
        """Send to the doppler as an agent does, and wait for its answer."""
        sender = self.channel.stream_unary(
            "/loggregator.v2.Ingress/BatchSender", request_serializer=v2.EnvelopeBatch.SerializeToString
        )
        with trio.fail_after(20):
            await trio.to_thread.run_sync(sender, iter([v2.EnvelopeBatch(batch=envelopes)]))

    async def subscribed(self, count: int = 1) -> None:
        """Wait until so many streams are open at the doppler."""

        async def so_many() -> bool:
            return f"doppler_readers {count}.0\n" in await get(self.doppler, self.certs, "/metrics")

        await eventually(so_many)

    async def books(self, name: str = "gateway 1") -> dict[str, Any]:
        return (await accounts(self.proxy, self.certs))[name]

    async def metric(self, name: str) -> float:
        text = await get(self.proxy, self.certs, "/metrics")
        lines = [line for line in text.splitlines() if line.startswith(f"reverse_log_proxy_gateway_{name} ")]
        return float(lines[0].split()[1])

    async def eventually(self, name: str, value: float) -> None:
        async def reached() -> bool:
            return await self.metric(name) == value

        await eventually(reached)


class Reading:
    """A stream that is read event by event."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.last_id = ""
        self.stream = stream
        self.answer: h11.Response
        self._http = h11.Connection(h11.CLIENT)
        self._text = ""
        self._ended = False

    async def ask(self, target: str, headers: dict[str, str]) -> None:
        request = h11.Request(method="GET", target=target, headers=[("Host", "x"), *headers.items()])
        await self.stream.send_all(self._http.send(request) + self._http.send(h11.EndOfMessage()))
        with trio.fail_after(10):
            answer = await self._next()
        assert isinstance(answer, h11.Response)
        self.answer = answer

    async def line(self) -> str | None:
        """Read one line; None at the end of the answer."""
        while "\n" not in self._text and not self._ended:
            part = await self._next()
            self._ended = isinstance(part, h11.EndOfMessage)
            self._text += part.data.decode() if isinstance(part, h11.Data) else ""
        line, end, self._text = self._text.partition("\n")
        return line if end else None

    async def _next(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self.stream.receive_some())
        return event

    async def event(self, *, within_s: float = 10) -> Event:
        """Read up to the next empty line that ends something."""
        event = Event("message", "", "", [])
        with trio.fail_after(within_s):
            while (line := await self.line()) is not None:
                name, _, value = line.partition(": ")
                if not line and (event.data or event.comments):
                    return event
                if line.startswith(":"):
                    event.comments.append(value)
                elif name == "event":
                    event.kind = value
                elif name == "data":
                    event.data += value
                elif name == "id":
                    event.id = self.last_id = value
        raise EOFError

    async def payloads(self, count: int) -> list[bytes]:
        payloads: list[bytes] = []
        while len(payloads) < count:
            payloads += (await self.event()).payloads
        return payloads

    async def rest(self) -> str:
        """Read to the end of the answer."""
        lines: list[str] = []
        with trio.fail_after(10):
            while (line := await self.line()) is not None:
                lines.append(line)
        return "\n".join(lines)


@asynccontextmanager
async def open_pipeline(certs: Path, tmp_path: Path, *, doppler: Any = None, **gateway: Any) -> AsyncIterator[Pipeline]:
    tokens = TokenStore(tmp_path / "tokens")
    tokens.ensure_admin_token(time.time())
    async with running("doppler", certs, **{"drain_grace_s": 0.5, **(doppler or {})}) as doppler_ports:
        settings = {
            "doppler_addresses": [doppler_ports["listen"]],
            "gateway": {"enabled": True, "listen": "127.0.0.1:0", **gateway},
            "auth": {"tokens_dir": tmp_path / "tokens"},
            "drain_grace_s": 0.5,
        }
        async with running("reverse_log_proxy", certs, **settings) as ports:
            with dial(doppler_ports["listen"], certs, "doppler") as channel:
                context = client_context(certs / "ca.crt")
                yield Pipeline(doppler_ports, ports, certs, tokens, channel, context)


@pytest.fixture
async def pipeline(certs_dir: Path, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with open_pipeline(certs_dir, tmp_path) as pipeline:
        yield pipeline


def logs(payloads: Iterable[bytes], source: str = APP) -> list[v2.Envelope]:
    return [v2.Envelope(source_id=source, timestamp=1, log={"payload": payload}) for payload in payloads]


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last + 1)]


async def test_envelopes_arrive_as_the_protojson_of_a_batch(pipeline: Pipeline) -> None:
    sent = v2.Envelope(source_id=APP, timestamp=1 << 60, instance_id="3", log={"payload": b"\xff", "type": "ERR"})
    async with pipeline.open() as reading:
        await pipeline.subscribed()
        await pipeline.send(sent)

        event = await reading.event()

    expected = json_format.MessageToJson(
        v2.EnvelopeBatch(batch=[sent]), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert json.loads(event.data) == json.loads(expected)
    assert json.loads(event.data)["batch"][0]["deprecated_tags"] == {}


async def test_a_stream_has_the_headers_of_the_original(pipeline: Pipeline) -> None:
    async with pipeline.open() as reading:
        headers = {name: value.decode() for name, value in reading.answer.headers}

    assert (headers[b"content-type"], headers[b"cache-control"]) == ("text/event-stream", "no-cache")
    assert headers[b"connection"] == "keep-alive"


@pytest.mark.parametrize(
    ("target", "method", "status", "error", "message"),
    [
        ("/v2/read", "GET", 400, "empty_query", "query cannot be empty"),
        ("/v2/read?source_id=a", "GET", 400, "missing_envelope_type", "query must provide at least one envelope type"),
        ("/v2/read?log", "POST", 405, "method_not_allowed", "method not allowed"),
        ("/v2/read", "DELETE", 405, "method_not_allowed", "method not allowed"),
    ],
)
async def test_a_bad_request_is_answered_as_by_the_original(
    pipeline: Pipeline, target: str, method: str, status: int, error: str, message: str
) -> None:
    answer = await pipeline.ask(target, method)

    assert answer.status_code == status
    assert answer.text == f'{{"message":"{message}","error":"{error}"}}\n\n'
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/v2/read/", "/v2/reads", "/v2", "/v2/read/x?log"])
async def test_other_paths_are_not_found(pipeline: Pipeline, path: str) -> None:
    answer = await pipeline.ask(path)

    assert (answer.status_code, answer.text) == (404, "404 page not found\n")


@pytest.mark.parametrize("target", ["/v2/read?log", "/v2/read", f"/v2/read?log&source_id={APP}"])
@pytest.mark.parametrize("token", [None, "nonsense"])
async def test_without_a_good_token_there_is_nothing(pipeline: Pipeline, target: str, token: str | None) -> None:
    answer = await pipeline.ask(target, token=token)

    assert (answer.status_code, answer.text) == (404, '{"message":"resource not found","error":"not_found"}\n\n')


async def test_one_source_is_open_to_those_who_may_read_it_and_no_other(pipeline: Pipeline) -> None:
    token = pipeline.tokens.create(scopes=["source.read"], sources=[APP], expires_in_s=None, now=time.time())
    refused = ["log", "log&source_id=other", f"log&source_id={APP}&source_id=other", "log&source_id=", ""]

    for query in refused:
        assert (await pipeline.ask(f"/v2/read?{query}", token=token)).status_code == 404, query
    async with pipeline.open(f"/v2/read?log&source_id={APP}", token=token) as reading:
        await pipeline.subscribed()
        await pipeline.send(*logs([b"other"], "other"), *logs([b"mine"]))
        assert await reading.payloads(1) == [b"mine"]


async def test_too_many_streams_are_told_to_come_later(certs_dir: Path, tmp_path: Path) -> None:
    async with open_pipeline(certs_dir, tmp_path, max_streams=1) as pipeline, pipeline.open():
        answer = await pipeline.ask("/v2/read?log")

    assert answer.status_code == 503
    assert answer.text == '{"message":"streaming is temporarily unavailable","error":"streaming_unavailable"}\n\n'


async def test_a_session_that_lingers_makes_room(certs_dir: Path, tmp_path: Path) -> None:
    async with open_pipeline(certs_dir, tmp_path, max_streams=1) as pipeline:
        async with pipeline.open():
            await pipeline.eventually("streams", 1)
        await pipeline.eventually("streams", 0)

        async with pipeline.open() as reading:
            assert reading.answer.status_code == 200


async def test_refusals_are_counted(pipeline: Pipeline) -> None:
    await pipeline.ask("/v2/read")
    await pipeline.ask("/v2/read", token=None)

    text = await get(pipeline.proxy, pipeline.certs, "/metrics")
    assert 'reverse_log_proxy_gateway_refused_total{status="400"} 1.0' in text
    assert 'reverse_log_proxy_gateway_refused_total{status="404"} 1.0' in text


async def test_an_idle_stream_has_a_heartbeat_and_a_last_word(certs_dir: Path, tmp_path: Path) -> None:
    async with open_pipeline(certs_dir, tmp_path, heartbeat_s=0.2, stream_timeout_s=0.5) as pipeline:
        async with pipeline.open() as reading:
            lines = (await reading.rest()).split("\n")

    beat = ["event: heartbeat", lines[1], ""]
    assert lines == [*beat, *beat[:1], lines[4], "", "event: closing", "data: closing due to stream timeout", ""]
    assert abs(int(lines[1].removeprefix("data: ")) - time.time()) < 30


async def test_the_time_of_a_stream_is_up_under_load_too(certs_dir: Path, tmp_path: Path) -> None:
    async with open_pipeline(certs_dir, tmp_path, heartbeat_s=0.2, stream_timeout_s=0.5) as pipeline:
        async with pipeline.open() as reading, trio.open_nursery() as nursery:

            async def keep_sending() -> None:
                while True:
                    await pipeline.send(*logs([b"x"]))

            nursery.start_soon(keep_sending)
            text = await reading.rest()
            nursery.cancel_scope.cancel()

    assert text.endswith("\n\nevent: closing\ndata: closing due to stream timeout\n")


async def test_the_end_of_the_process_is_said(certs_dir: Path, tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        said: list[str] = []

        async def read(pipeline: Pipeline, *, task_status: Any) -> None:
            async with pipeline.open() as reading:
                task_status.started()
                said.append(await reading.rest())

        async with open_pipeline(certs_dir, tmp_path) as pipeline:
            await nursery.start(read, pipeline)

    assert said == ["event: closing\ndata: closing due to shutdown\n"]


async def test_a_connection_carries_one_request_after_another(pipeline: Pipeline) -> None:
    async with httpx.AsyncClient(verify=pipeline.context, trust_env=False) as client:
        answers = [await client.get(f"{pipeline.url}/v2/read", headers=pipeline.headers()) for _ in range(3)]
        peers = {answer.extensions["network_stream"].get_extra_info("client_addr") for answer in answers}

    assert ([answer.status_code for answer in answers], len(peers)) == ([400] * 3, 1)


async def test_a_broken_stream_continues_without_gap_or_repeat(pipeline: Pipeline) -> None:
    """The connection breaks in the middle, again and again, while numbered envelopes are sent."""
    total, got, last_id = 3000, [], ""

    async def keep_sending() -> None:
        for first in range(1, total + 1, 10):
            await pipeline.send(*logs(numbers(first, first + 9)))

    async with trio.open_nursery() as nursery:
        while len(got) < total:
            async with pipeline.open(last_id=last_id) as reading:
                if not last_id:
                    await pipeline.subscribed()
                    nursery.start_soon(keep_sending)
                for _ in range(12):
                    event = await reading.event()
                    got += event.payloads
                    if len(got) >= total:
                        break
                last_id = reading.last_id

    assert got == numbers(1, total)
    assert await pipeline.metric("resume_failures_total") == 0
    assert await pipeline.metric("resumed_total") > 3
    assert (await pipeline.books())["delivered"] == total


async def test_what_was_sent_and_not_read_is_sent_again(pipeline: Pipeline) -> None:
    async with pipeline.open() as reading:
        await pipeline.subscribed()
        await pipeline.send(*logs(numbers(1, 1)))
        first = await reading.event()
        await pipeline.send(*logs(numbers(2, 2)))
        await reading.event()
    await pipeline.eventually("streams", 0)
    await pipeline.send(*logs(numbers(3, 3)))

    async with pipeline.open(last_id=first.id) as reading:
        assert await reading.payloads(2) == numbers(2, 3)


async def test_a_stream_that_timed_out_continues(certs_dir: Path, tmp_path: Path) -> None:
    async with open_pipeline(certs_dir, tmp_path, stream_timeout_s=0.5) as pipeline:
        async with pipeline.open() as reading:
            await pipeline.subscribed()
            await pipeline.send(*logs(numbers(1, 1)))
            last = await reading.event()
            await reading.rest()
        await pipeline.send(*logs(numbers(2, 2)))

        async with pipeline.open(last_id=last.id) as reading:
            assert await reading.payloads(1) == numbers(2, 2)


async def test_a_client_takes_the_place_of_its_own_dead_connection(pipeline: Pipeline) -> None:
    async with pipeline.open() as old:
        await pipeline.subscribed()
        await pipeline.send(*logs(numbers(1, 1)))
        last = await old.event()

        async with pipeline.open(last_id=last.id) as reading:
            await pipeline.send(*logs(numbers(2, 2)))
            assert await reading.payloads(1) == numbers(2, 2)
            with pytest.raises((h11.RemoteProtocolError, trio.BrokenResourceError)):
                await old.event()
            await pipeline.eventually("streams", 1)


async def refused_a_resume(pipeline: Pipeline, target: str, **who: str | None) -> list[str]:
    """Ask to continue, and return the comments that come before the first event of the new session."""
    before = await pipeline.metric("resume_failures_total")
    async with pipeline.open(target, **who) as reading:
        comments = (await reading.event()).comments
    assert await pipeline.metric("resume_failures_total") == before + 1
    return comments


async def test_another_query_does_not_continue(pipeline: Pipeline) -> None:
    async with pipeline.open() as reading:
        await pipeline.subscribed()
        await pipeline.send(*logs(numbers(1, 1)))
        last = await reading.event()

    comments = await refused_a_resume(pipeline, "/v2/read?log&counter", last_id=last.id)
    assert comments == ["cannot resume: the session has another query"]


async def test_a_token_that_was_refreshed_continues(pipeline: Pipeline) -> None:
    old, new = (
        pipeline.tokens.create(scopes=["logs.admin"], expires_in_s=600, now=time.time() - age) for age in (599, 0)
    )
    async with pipeline.open(token=old) as reading:
        await pipeline.subscribed()
        await pipeline.send(*logs(numbers(1, 1)))
        last = await reading.event()
    await pipeline.send(*logs(numbers(2, 2)))

    async with pipeline.open(token=new, last_id=last.id) as reading:
        assert await reading.payloads(1) == numbers(2, 2)
    assert await pipeline.metric("resume_failures_total") == 0


async def test_a_token_for_something_else_does_not_continue(pipeline: Pipeline) -> None:
    token = pipeline.tokens.create(scopes=[], sources=["other"], expires_in_s=None, now=time.time())
    target = f"/v2/read?log&source_id={APP}"
    async with pipeline.open(target) as reading:
        await pipeline.subscribed()
        await pipeline.send(*logs(numbers(1, 1)))
        last = await reading.event()

    assert (await pipeline.ask(target, token=token, last_id=last.id)).status_code == 404


async def test_a_token_that_was_revoked_does_not_continue(pipeline: Pipeline) -> None:
    token = pipeline.tokens.create(scopes=["doppler.firehose"], expires_in_s=None, now=time.time())
    async with pipeline.open(token=token) as reading:
        await pipeline.subscribed()
        await pipeline.send(*logs(numbers(1, 1)))
        last = await reading.event()
    pipeline.tokens.revoke(pipeline.tokens.list()[-1].id)

    assert (await pipeline.ask("/v2/read?log", token=token, last_id=last.id)).status_code == 404


@pytest.mark.parametrize("last_id", ["x", "0" * 32 + "-1", "-", "0" * 32 + "-" + "9" * 40])
async def test_an_unknown_id_begins_anew_and_says_so(pipeline: Pipeline, last_id: str) -> None:
    (comment,) = await refused_a_resume(pipeline, "/v2/read?log", last_id=last_id)

    assert comment.startswith("cannot resume: ")


async def test_an_id_that_has_left_the_buffer_begins_anew(certs_dir: Path, tmp_path: Path) -> None:
    async with open_pipeline(certs_dir, tmp_path, resume_bytes=0) as pipeline:
        async with pipeline.open() as reading:
            await pipeline.subscribed()
            await pipeline.send(*logs(numbers(1, 1)))
            first = await reading.event()
            await pipeline.send(*logs(numbers(2, 2)))
            await reading.event()

        comments = await refused_a_resume(pipeline, "/v2/read?log", last_id=first.id)
    assert comments == ["cannot resume: the events after that id are not held"]


async def test_a_session_is_over_when_nobody_comes_back(certs_dir: Path, tmp_path: Path) -> None:
    async with open_pipeline(certs_dir, tmp_path, resume_linger_s=0.1) as pipeline:
        async with pipeline.open() as reading:
            await pipeline.subscribed()
            await pipeline.send(*logs(numbers(1, 1)))
            last = await reading.event()
        await pipeline.eventually("sessions", 0)
        await pipeline.subscribed(0)

        comments = await refused_a_resume(pipeline, "/v2/read?log", last_id=last.id)
    assert comments == ["cannot resume: the session is over"]


async def test_what_waits_for_a_client_that_stays_away_goes_to_the_shards_next_reader(
    certs_dir: Path, tmp_path: Path
) -> None:
    async with open_pipeline(certs_dir, tmp_path) as pipeline:
        async with pipeline.open("/v2/read?log&shard_id=nozzle"):
            await pipeline.subscribed()
        await pipeline.eventually("streams", 0)
        await pipeline.send(*logs(numbers(1, 5)))

        async def held() -> bool:
            return (await pipeline.books())["held"] == 5

        await eventually(held)
        async with pipeline.open("/v2/read?log&shard_id=nozzle") as reading:
            assert await reading.payloads(5) == numbers(1, 5)
        books = await pipeline.books()

    assert (books["received"], books["returned"], books["held"]) == (0, 5, 0)


async def test_a_client_that_takes_nothing_is_cut_off_and_loses_nothing(certs_dir: Path, tmp_path: Path) -> None:
    async with open_pipeline(certs_dir, tmp_path, slow_reader_s=0.3, resume_bytes=64 << 20) as pipeline:
        async with pipeline.open() as stuck:
            await pipeline.subscribed()
            await pipeline.send(*logs([b"0"]))
            first = await stuck.event()
            sent = 1

            async def cut_off() -> bool:
                nonlocal sent
                await pipeline.send(*logs([b"%d %s" % (sent, b"x" * (256 << 10))]))
                sent += 1
                return await pipeline.metric("slow_readers_total") == 1

            await eventually(cut_off, within_s=60)

        async with pipeline.open(last_id=first.id) as reading:
            payloads = await reading.payloads(sent - 1)
        books = await pipeline.books()

    assert [int(payload.split()[0]) for payload in payloads] == list(range(1, sent))
    assert books["delivered"] == sent


async def test_fifty_streams_each_see_everything(pipeline: Pipeline) -> None:
    got: list[list[bytes]] = []

    async def read(*, task_status: Any) -> None:
        async with pipeline.open() as reading:
            task_status.started()
            got.append(await reading.payloads(500))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            await nursery.start(read)
        await pipeline.subscribed(50)
        for first in range(1, 500, 50):
            await pipeline.send(*logs(numbers(first, first + 49)))

    assert got == [numbers(1, 500)] * 50


async def test_the_parser_of_go_loggregator_sees_batches_and_nothing_else(certs_dir: Path, tmp_path: Path) -> None:
    """What RLPGatewayClient does with each line (2.8): ids and comments are no part of it."""
    async with open_pipeline(certs_dir, tmp_path, heartbeat_s=0.1, stream_timeout_s=1) as pipeline:
        async with pipeline.open(last_id="unknown") as reading:
            await pipeline.subscribed()
            await pipeline.send(*logs(numbers(1, 2)))
            lines = iter((await reading.rest()).split("\n"))
    batches, joined, closed = [], "", False
    for line in lines:
        if line.startswith("event: closing"):
            closed = True
            break
        if line.startswith("event: heartbeat"):
            next(lines)
            next(lines)
        elif line.startswith("data: "):
            joined += line.removeprefix("data: ")
        elif not line and joined:
            batches.append(json_format.Parse(joined, v2.EnvelopeBatch()))
            joined = ""

    assert [envelope.log.payload for batch in batches for envelope in batch.batch] == numbers(1, 2)
    assert closed
