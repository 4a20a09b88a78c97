"""Answers and streams of the SSE gateway as clients of the original see them (loggregator.md 2.8, 3.2)."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from google.protobuf import json_format

from envelope.pb import loggregator_v2_pb2 as v2
from tests.running_gateway import APP, Gateway, logs, numbers, open_gateway


async def test_envelopes_arrive_as_the_protojson_of_a_batch(gateway: Gateway) -> None:
    sent = v2.Envelope(source_id=APP, timestamp=1 << 60, instance_id="3", log={"payload": b"\xff", "type": "ERR"})
    async with gateway.open() as reading:
        await gateway.subscribed()
        await gateway.send(sent)

        event = await reading.event()

    expected = json_format.MessageToJson(
        v2.EnvelopeBatch(batch=[sent]), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert json.loads(event.data) == json.loads(expected)
    assert json.loads(event.data)["batch"][0]["deprecated_tags"] == {}


async def test_a_stream_has_the_headers_of_the_original(gateway: Gateway) -> None:
    async with gateway.open() as reading:
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
    gateway: Gateway, target: str, method: str, status: int, error: str, message: str
) -> None:
    answer = await gateway.ask(target, method)

    assert answer.status_code == status
    assert answer.text == f'{{"message":"{message}","error":"{error}"}}\n\n'
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/v2/read/", "/v2/reads", "/v2", "/v2/read/x?log"])
async def test_other_paths_are_not_found(gateway: Gateway, path: str) -> None:
    answer = await gateway.ask(path)

    assert (answer.status_code, answer.text) == (404, "404 page not found\n")


async def test_a_connection_carries_one_request_after_another(gateway: Gateway) -> None:
    async with httpx.AsyncClient(verify=gateway.context, trust_env=False) as client:
        answers = [await client.get(f"{gateway.url}/v2/read", headers=gateway.headers()) for _ in range(3)]
        peers = {answer.extensions["network_stream"].get_extra_info("client_addr") for answer in answers}

    assert ([answer.status_code for answer in answers], len(peers)) == ([400] * 3, 1)


async def test_fifty_streams_each_see_everything(gateway: Gateway) -> None:
    got: list[list[bytes]] = []

    async def read(*, task_status: Any) -> None:
        async with gateway.open() as reading:
            task_status.started()
            got.append(await reading.payloads(500))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            await nursery.start(read)
        await gateway.subscribed(50)
        for first in range(1, 500, 50):
            await gateway.send(*logs(numbers(first, first + 49)))

    assert got == [numbers(1, 500)] * 50


async def test_the_parser_of_go_loggregator_sees_batches_and_nothing_else(certs_dir: Path, tmp_path: Path) -> None:
    """What RLPGatewayClient does with each line (2.8): ids and comments are no part of it."""
    async with open_gateway(certs_dir, tmp_path, heartbeat_s=0.1, stream_timeout_s=1) as gateway:
        async with gateway.open(last_id="unknown") as reading:
            await gateway.subscribed()
            await gateway.send(*logs(numbers(1, 2)))
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
