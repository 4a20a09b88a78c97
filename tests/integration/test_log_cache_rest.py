"""The REST interface of a log cache as its clients see it, over TLS and with a real cache behind it (4.3, 4.5, 4.7)."""

import base64
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h11
import httpx
import pytest
import structlog.testing
import trio

from envelope.pb import logcache_v1_pb2 as logcache
from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from plumbing.tls import client_context
from plumbing.tokens import TokenStore
from tests.fakes.capi import FakeCapi
from tests.fakes.uaa import FakeUaa
from tests.raw_http import ask as ask_raw
from tests.raw_http import dial as dial_raw
from tests.raw_http import request
from tests.running import dial, eventually, get, running

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"
OTHER = "9f3c2a41-58cc-4372-a567-0e02b2c3d480"
SERVICE = "0e02b2c3-58cc-4372-a567-9f3c2a41d479"
ACCEPT = "Accept: text/event-stream"


@dataclass
class Node:
    """A log cache, and what a client needs."""

    ports: Ports
    certs: Path
    context: ssl.SSLContext
    token: str

    @property
    def address(self) -> str:
        return self.ports["rest"]

    def client(self, token: str | None = "") -> httpx.AsyncClient:
        shown = self.token if token == "" else token
        headers = {"Authorization": f"bearer {shown}"} if shown else {}
        return httpx.AsyncClient(
            base_url=f"https://{self.address}", verify=self.context, trust_env=False, timeout=20, headers=headers
        )

    async def get(self, path: str, token: str | None = "", **params: Any) -> httpx.Response:
        async with self.client(token) as client:
            return await client.get(path, params=params or None)

    async def put(self, *envelopes: v2.Envelope) -> None:
        """Send to the cache as the original's nozzle does."""

        def send() -> None:
            with dial(self.ports["listen"], self.certs, "log-cache") as channel:
                call = channel.unary_unary(
                    "/logcache.v1.Ingress/Send",
                    request_serializer=logcache.SendRequest.SerializeToString,
                    response_deserializer=logcache.SendResponse.FromString,
                )
                call(logcache.SendRequest(envelopes=v2.EnvelopeBatch(batch=envelopes)), timeout=10)

        await trio.to_thread.run_sync(send)

    async def metric(self, line: str) -> bool:
        return f"{line}\n" in await get(self.ports, self.certs, "/metrics")

    @asynccontextmanager
    async def follow(self, target: str, *headers: str) -> AsyncIterator["Following"]:
        """Open a stream; leaving it breaks its connection."""
        stream = await dial_raw(self.address, self.context)
        try:
            await stream.send_all(request(target, f"Authorization: bearer {self.token}", ACCEPT, *headers))
            yield Following(stream)
        finally:
            await trio.aclose_forcefully(stream)


class Following:
    """A stream, event by event."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.last_id = ""
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT)
        self._http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        self._text = ""

    async def event(self) -> dict[str, str]:
        """Read one block: its fields."""
        with trio.fail_after(20):
            while "\n\n" not in self._text:
                while (event := self._http.next_event()) is h11.NEED_DATA:
                    self._http.receive_data(await self._stream.receive_some())
                if isinstance(event, h11.Response):
                    assert event.status_code == 200
                else:
                    assert isinstance(event, h11.Data)
                    self._text += event.data.decode()
        block, _, self._text = self._text.partition("\n\n")
        fields = {name: value.strip() for name, _, value in (line.partition(":") for line in block.splitlines())}
        self.last_id = fields.get("id", self.last_id)
        return fields

    async def payloads(self) -> list[bytes]:
        """Read on to the next data."""
        while "data" not in (event := await self.event()):
            pass
        return [payload_of(each) for each in json.loads(event["data"])["batch"]]


def payload_of(envelope: dict[str, Any]) -> bytes:
    return base64.b64decode(envelope["log"]["payload"])


def log(payload: bytes, source_id: str = APP, **fields: Any) -> v2.Envelope:
    fields = {"timestamp": time.time_ns(), **fields}
    return v2.Envelope(source_id=source_id, instance_id="0", log={"payload": payload}, **fields)


def payloads(answer: httpx.Response) -> list[bytes]:
    assert answer.status_code == 200, answer.text
    return [payload_of(each) for each in answer.json()["envelopes"]["batch"]]


@asynccontextmanager
async def open_node(certs: Path, token: str = "", **settings: Any) -> AsyncIterator[Node]:
    rest = {"listen": "127.0.0.1:0", **settings.pop("rest", {})}
    with trio.fail_after(60):
        async with running("log_cache", certs, doppler_addresses=[], rest=rest, **settings) as ports:
            yield Node(ports, certs, client_context(certs / "ca.crt"), token)


@pytest.fixture
def tokens(tmp_path: Path) -> TokenStore:
    store = TokenStore(tmp_path / "tokens")
    store.ensure_admin_token(time.time())
    return store


@pytest.fixture
async def node(certs_dir: Path, tokens: TokenStore, tmp_path: Path) -> AsyncIterator[Node]:
    admin = tokens.ensure_admin_token(time.time()).read_text()
    async with open_node(certs_dir, admin, auth={"tokens_dir": tmp_path / "tokens"}) as node:
        yield node


async def test_the_cli_finds_its_paths_and_reads_recent_logs(node: Node) -> None:
    await node.put(log(b"1"), log(b"2"), v2.Envelope(source_id=APP, timestamp=time.time_ns(), counter={"name": "c"}))

    info = await node.get("/api/v1/info", None)
    recent = await node.get(
        f"/api/v1/read/{APP}",
        start_time="-6795364578871345152",
        envelope_types="LOG",
        limit="1000",
        descending="true",
    )

    assert (info.json()["version"], info.text[-1]) == ("3.2.0", "\n")
    assert payloads(recent) == [b"2", b"1"]
    assert recent.headers["content-type"] == "application/json"


async def test_metadata_and_reads_agree(node: Node) -> None:
    await node.put(log(b"1", timestamp=5), log(b"2", timestamp=7), log(b"3", "another"))

    meta = (await node.get("/api/v1/meta")).json()["meta"]

    assert meta[APP] == {"count": "2", "oldestTimestamp": "5", "newestTimestamp": "7"}
    assert meta.keys() == {APP, "another"}


@pytest.mark.parametrize("source_id", ["a/b c", "ä\n", "../../meta", "%2e%2e", "x" * 10_000, "a?b#c"])
async def test_a_source_of_any_name_is_read(node: Node, source_id: str) -> None:
    await node.put(log(b"x", source_id))

    for safe in ("", "/"):
        target = f"/api/v1/read/{quote(source_id, safe=safe)}"
        answer = await ask_raw(node.address, node.context, request(target, f"Authorization: bearer {node.token}"))
        assert (answer.status, answer.body.count(b"payload")) == (200, 1)


async def test_access_is_refused_with_404_and_nothing_else(node: Node, tokens: TokenStore) -> None:
    await node.put(log(b"1"), log(b"2", OTHER))
    mine = tokens.create(scopes=["source.read"], sources=[APP], expires_in_s=60, now=time.time())

    assert payloads(await node.get(f"/api/v1/read/{APP}", mine)) == [b"1"]
    assert (await node.get("/api/v1/meta", mine)).json()["meta"].keys() == {APP}
    for path, token in ((f"read/{OTHER}", mine), (f"read/{APP}", None), ("meta", "bad"), ("query?query=up", None)):
        answer = await node.get(f"/api/v1/{path}", token)
        assert (answer.status_code, answer.content) == (404, b"")


async def test_a_reader_goes_on_in_order_of_arrival(node: Node) -> None:
    await node.put(log(b"late", timestamp=9), log(b"early", timestamp=1))
    first = await node.get(f"/api/v1/read/{APP}", cursor="", limit="1")
    assert (payloads(first), first.headers["standpipe-rest"]) == ([b"late"], "1")

    second = await node.get(f"/api/v1/read/{APP}", cursor=first.headers["standpipe-cursor"])
    assert (payloads(second), second.headers["standpipe-missed"]) == ([b"early"], "0")

    async with trio.open_nursery() as nursery:
        answers: list[httpx.Response] = []

        async def wait() -> None:
            cursor = second.headers["standpipe-cursor"]
            answers.append(await node.get(f"/api/v1/read/{APP}", cursor=cursor, wait="30"))

        nursery.start_soon(wait)

        async def waits() -> bool:
            return await node.metric("log_cache_followers 1.0")

        await eventually(waits)
        await node.put(log(b"news", timestamp=1))

    assert payloads(answers[0]) == [b"news"]


@pytest.mark.parametrize("cursor", ["x", "A" * 38, "ä"])
async def test_a_foreign_cursor_is_refused(node: Node, cursor: str) -> None:
    answer = await node.get(f"/api/v1/read/{APP}", cursor=cursor)

    assert (answer.status_code, answer.json()["code"]) == (400, 3)


async def test_a_stream_brings_what_arrives_and_is_continued(node: Node) -> None:
    await node.put(log(b"before"))
    async with node.follow(f"/api/v1/read/{APP}") as stream:
        assert (await stream.event()).keys() == {"id"}
        await node.put(log(b"1"))
        assert await stream.payloads() == [b"1"]
        last_id = stream.last_id
    await node.put(log(b"2"))

    async with node.follow(f"/api/v1/read/{APP}?cursor=", f"Last-Event-ID: {last_id}") as stream:
        assert await stream.payloads() == [b"2"]
    async with node.follow(f"/api/v1/read/{APP}?cursor=") as stream:
        assert await stream.payloads() == [b"before", b"1", b"2"]

    async def all_gone() -> bool:
        return await node.metric("log_cache_rest_streams 0.0")

    await eventually(all_gone)


async def test_the_process_ends_streams_and_waits(certs_dir: Path, tokens: TokenStore, tmp_path: Path) -> None:
    admin = tokens.ensure_admin_token(time.time()).read_text()
    heard: list[bytes] = []
    answers: list[int] = []
    async with trio.open_nursery() as nursery:
        async with open_node(certs_dir, admin, auth={"tokens_dir": tmp_path / "tokens"}, drain_grace_s=20) as node:

            async def follow() -> None:
                async with (
                    node.client() as client,
                    client.stream("GET", f"/api/v1/read/{APP}", headers={"Accept": "text/event-stream"}) as answer,
                ):
                    heard.extend([piece async for piece in answer.aiter_raw()])

            async def wait() -> None:
                answer = await node.get(f"/api/v1/read/{APP}", cursor="", wait="30")
                answers.append(answer.status_code)

            nursery.start_soon(follow)
            nursery.start_soon(wait)

            async def both() -> bool:
                return await node.metric("log_cache_followers 2.0")

            await eventually(both)
            began = trio.current_time()
        assert trio.current_time() - began < 10

    assert (answers, len(heard)) == ([200], 1)


async def test_promql_is_answered_to_a_get_and_to_a_form(node: Node) -> None:
    now = time.time_ns()
    await node.put(
        *[
            v2.Envelope(source_id=APP, instance_id="0", timestamp=now, timer={"name": "http", "start": 0, "stop": 3})
            for _ in range(2)
        ]
    )
    query = f"sum by (instance_id) (count_over_time(http{{source_id='{APP}'}}[60s])) / 60"
    moment = f"{now / 1e9 + 1:.3f}"

    async with node.client() as client:
        got = await client.get("/api/v1/query", params={"query": query, "time": moment})
        posted = await client.post("/api/v1/query", data={"query": query, "time": moment})

    assert got.json() == posted.json()
    [sample] = got.json()["data"]["result"]
    assert (got.json()["status"], sample["metric"]) == ("success", {"instance_id": "0"})


@pytest.mark.parametrize(
    ("path", "params", "status", "kind"),
    [
        ("query", {"query": "sum("}, 400, "bad_data"),
        ("query", {"query": f"up{{source_id='{APP}'}}", "time": "x"}, 400, "bad_data"),
        ("query_range", {"query": f"up{{source_id='{APP}'}}", "start": "1"}, 400, "bad_data"),
        ("series", {}, 400, "bad_data"),
    ],
)
async def test_a_bad_query_is_told_what_is_wrong(
    node: Node, path: str, params: dict[str, str], status: int, kind: str
) -> None:
    answer = await node.get(f"/api/v1/{path}", **params)

    assert (answer.status_code, answer.json()["errorType"]) == (status, kind)


async def test_grafana_is_at_home(node: Node, tokens: TokenStore) -> None:
    mine = tokens.create(scopes=["source.read"], sources=[APP], expires_in_s=60, now=time.time())
    gauge = {"metrics": {"cpu": {"unit": "percentage", "value": 5}}}
    await node.put(
        *[v2.Envelope(source_id=s, timestamp=time.time_ns(), gauge=gauge, tags={"az": s[-1]}) for s in (APP, OTHER)]
    )

    async def data(path: str, token: str, **params: str) -> Any:
        return (await node.get(f"/api/v1/{path}", token, **params)).json()["data"]

    assert (await data("status/buildinfo", mine))["version"]
    assert await data("label/source_id/values", mine) == [APP]
    assert await data("label/source_id/values", node.token) == [APP, OTHER]
    assert await data("label/__name__/values", mine) == ["cpu"]
    assert await data("label/az/values", mine) == ["9"]
    assert await data("label/az/values", node.token, **{"match[]": "cpu"}) == ["0", "9"]
    assert set(await data("labels", mine)) == {"__name__", "az", "source_id"}
    assert (await data("metadata", mine)).keys() == {"cpu"}
    [series] = await data("series", mine, **{"match[]": f'cpu{{source_id="{APP}"}}'})
    assert (series["__name__"], series["source_id"]) == ("cpu", APP)


@contextmanager
def cloud_foundry(certs: Path, tmp_path: Path) -> Iterator[tuple[FakeUaa, FakeCapi, dict[str, Any]]]:
    secret = tmp_path / "secret"
    with FakeUaa(certs) as uaa, FakeCapi(certs, uaa.who) as capi:
        secret.write_text(uaa.client_secret)
        auth = {
            "mode": "uaa",
            "uaa_url": uaa.url,
            "uaa_ca": certs / "ca.crt",
            "uaa_client_id": uaa.client_id,
            "uaa_client_secret_file": secret,
            "capi_ca": certs / "ca.crt",
            "capi_external_url": capi.external_url,
        }
        yield uaa, capi, auth


async def test_in_a_cloud_foundry_everybody_sees_what_is_theirs(certs_dir: Path, tmp_path: Path) -> None:
    with cloud_foundry(certs_dir, tmp_path) as (uaa, capi, auth):
        capi.apps.update({APP: {"alice"}, OTHER: {"bob"}})
        capi.services[SERVICE] = {"alice"}
        capi.names.update({APP: "web", OTHER: "web"})
        capi.page_size = 1
        capi.apps.update({f"{number:08}-0000-0000-0000-000000000000": {"alice"} for number in range(3)})
        alice, admin = uaa.token("openid"), uaa.token("logs.admin", user="operator")
        async with open_node(certs_dir, auth=auth) as node:
            await node.put(*[log(b"x", source) for source in (APP, OTHER, SERVICE, "doppler")])
            seen = (await node.get("/api/v1/meta", alice)).json()["meta"].keys()
            everything = (await node.get("/api/v1/meta", admin)).json()["meta"].keys()
            statuses = [
                (await node.get(f"/api/v1/read/{source}", alice)).status_code
                for source in (APP, SERVICE, OTHER, "doppler")
            ]

    assert seen == {APP, SERVICE}
    assert everything == {APP, SERVICE, OTHER, "doppler"}
    assert statuses == [200, 200, 404, 404]


async def test_in_a_cloud_foundry_apps_have_names(certs_dir: Path, tmp_path: Path) -> None:
    with cloud_foundry(certs_dir, tmp_path) as (uaa, capi, auth):
        capi.apps.update({APP: {"alice"}, OTHER: {"bob"}})
        capi.names.update({APP: 'my "web", app', OTHER: 'my "web", app'})
        async with open_node(certs_dir, auth=auth) as node:
            before = time.time_ns() - 2_000_000_000
            await node.put(
                *[v2.Envelope(source_id=s, timestamp=before, counter={"name": "c", "total": 7}) for s in (APP, OTHER)]
            )
            query = 'c{source_id="my \\"web\\", app"}'
            found = await node.get("/api/v1/query", uaa.token("openid"), query=query)
            none = await node.get("/api/v1/query", uaa.token("openid"), query='c{source_id="nobody"}')

    assert [sample["metric"]["source_id"] for sample in found.json()["data"]["result"]] == [APP]
    assert (none.status_code, none.content) == (404, b"")


async def test_when_the_cloud_controller_is_away_nothing_is_read(certs_dir: Path, tmp_path: Path) -> None:
    with cloud_foundry(certs_dir, tmp_path) as (uaa, capi, auth):
        capi.apps[APP] = {"alice"}
        capi.be("failing")
        async with open_node(certs_dir, auth=auth) as node:
            answers = [
                await node.get(f"/api/v1/{path}", uaa.token("openid"))
                for path in (f"read/{APP}", "meta", f"query?query=c{{source_id='{APP}'}}", "label/source_id/values")
            ]

    assert [(answer.status_code, answer.content) for answer in answers] == [(404, b"")] * 4


async def test_a_thousand_requests_on_one_connection(node: Node) -> None:
    stream = await dial_raw(node.address, node.context)
    asked = request("/api/v1/info")
    received = b""

    async def send() -> None:
        await stream.send_all(asked * 1000)

    with trio.fail_after(40):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            while received.count(b"HTTP/1.1 200") < 1000:
                piece = await stream.receive_some(65536)
                assert piece, received.count(b"HTTP/1.1 200")
                received += piece
    await trio.aclose_forcefully(stream)


async def test_whatever_is_too_large_is_refused(node: Node) -> None:
    flood = [f"X-{number}: {'y' * 1000}" for number in range(200)]
    headers = await ask_raw(node.address, node.context, request("/api/v1/info", *flood))
    form = ["Content-Type: application/x-www-form-urlencoded"]
    body = await ask_raw(
        node.address, node.context, request("/api/v1/query", *form, method="POST", body="x" * 300_000), method="POST"
    )
    parameters = await node.get(f"/api/v1/read/{APP}?{'&a' * 2000}")

    assert headers.status in (400, 431)
    assert body.status == 413
    assert parameters.status_code == 400


async def test_clients_that_vanish_leave_nothing_behind(node: Node) -> None:
    async def all_here() -> bool:
        return await node.metric("log_cache_followers 10.0")

    async def all_gone() -> bool:
        return await node.metric("log_cache_rest_connections 0.0") and await node.metric("log_cache_followers 0.0")

    streams = [await dial_raw(node.address, node.context) for _ in range(10)]
    with structlog.testing.capture_logs() as lines:
        for number, stream in enumerate(streams):
            if number % 2:
                asked = request(f"/api/v1/read/{APP}", f"Authorization: bearer {node.token}", ACCEPT)
            else:
                asked = request(f"/api/v1/read/{APP}?cursor=&wait=30", f"Authorization: bearer {node.token}")
            await stream.send_all(asked)
        await eventually(all_here)
        for stream in streams:
            await trio.aclose_forcefully(stream)
        await eventually(all_gone)

    assert all(line["log_level"] in ("debug", "info") for line in lines)
    assert node.token not in str(lines)


async def test_a_slow_reader_is_cut_and_holds_up_nobody(certs_dir: Path, tokens: TokenStore, tmp_path: Path) -> None:
    admin = tokens.ensure_admin_token(time.time()).read_text()
    rest = {"slow_reader_s": 0.5}
    async with open_node(certs_dir, admin, auth={"tokens_dir": tmp_path / "tokens"}, rest=rest) as node:
        await node.put(*[log(bytes([65 + number]) * 60_000) for number in range(40)])
        await node.put(log(b"x", OTHER))
        slow = await dial_raw(node.address, node.context)
        token = f"Authorization: bearer {node.token}"
        await slow.send_all(request(f"/api/v1/read/{APP}?cursor=&limit=10", token, ACCEPT) * 5)

        async with node.follow(f"/api/v1/read/{OTHER}?cursor=") as stream:
            assert await stream.payloads() == [b"x"]

        async def cut() -> bool:
            await node.put(*[log(b"y" * 60_000) for _ in range(40)])
            return await node.metric("log_cache_rest_slow_readers_total 1.0")

        await eventually(cut)
        await trio.aclose_forcefully(slow)


async def test_a_head_is_an_answer_without_its_body(node: Node) -> None:
    async with node.client() as client:
        head, options, wrong = [
            await client.request(method, f"/api/v1/read/{APP}") for method in ("HEAD", "OPTIONS", "DELETE")
        ]

    assert (head.status_code, head.content, options.status_code, wrong.status_code) == (200, b"", 204, 405)


async def test_requests_are_counted_and_their_lines_hold_no_token(node: Node) -> None:
    with structlog.testing.capture_logs() as lines:
        await node.get(f"/api/v1/read/{APP}", access_token=node.token)
        await node.get("/v1/meta")

        async def counted() -> bool:
            return await node.metric('log_cache_rest_requests_total{route="other",status="4xx"} 1.0')

        await eventually(counted)
    assert await node.metric('log_cache_rest_requests_total{route="read",status="2xx"} 1.0')
    assert [line["status"] for line in lines if line["event"] == "rest_request"] == [200, 404]
    assert node.token not in str(lines)
