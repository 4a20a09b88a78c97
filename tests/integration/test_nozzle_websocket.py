"""A nozzle that reads the v1 firehose of a real traffic controller, which reads a real Doppler."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from tests.running import accounts, dial, eventually, metric_is, readers_at, running, send_over
from tests.running_controller import Controller, open_controller
from tests.running_nozzle import FakeSink, running_nozzle, send

LINES = [f"{number}" for number in range(60)]


@dataclass
class Pipeline:
    """A Doppler, a traffic controller on it, and what opens its firehose."""

    certs: Path
    doppler: Ports
    controller: Controller
    token: Path

    def show(self, token: str) -> None:
        """Have nozzles show this token from now on."""
        self.token.touch(0o600)
        self.token.write_text(token)

    @asynccontextmanager
    async def nozzle(self, sink: FakeSink, **settings: Any) -> AsyncIterator[Ports]:
        """Run a nozzle that reads the firehose."""
        websocket = {"address": self.controller.ports["listen"], "token_file": self.token}
        source = {"source": "websocket", "websocket": websocket}
        nowhere: Any = {"listen": "127.0.0.1:9"}
        async with running_nozzle(self.certs, sink.kind, nowhere, **source, **settings) as ports:
            yield ports

    async def has(self, sink: FakeSink, count: int) -> None:
        async def condition() -> bool:
            return len(sink.taken) >= count

        await eventually(condition)


@pytest.fixture
async def pipeline(certs_dir: Path, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        async with open_controller(certs_dir, tmp_path, doppler_addresses=[doppler["listen"]]) as controller:
            pipeline = Pipeline(certs_dir, doppler, controller, tmp_path / "token")
            pipeline.show(controller.token())
            yield pipeline


async def test_what_reaches_the_doppler_is_delivered_and_nothing_is_claimed_to_be_confirmed(pipeline: Pipeline) -> None:
    sink = FakeSink()
    counter = v2.Envelope(source_id="r", counter={"name": "requests", "delta": 2, "total": 5}, tags={"origin": "o"})
    async with pipeline.nozzle(sink, transforms=[{"step": "add_tags", "tags": {"seen": "yes"}}]) as nozzle:
        await readers_at(pipeline.doppler, pipeline.certs, 1)
        await send(pipeline.doppler, pipeline.certs, LINES, size=7)
        with dial(pipeline.doppler["listen"], pipeline.certs, "doppler") as channel:
            await send_over(channel, counter)
        await pipeline.has(sink, 61)
        await metric_is(nozzle, pipeline.certs, "nozzle_envelopes_delivered_total", 61)
        books = await accounts(nozzle, pipeline.certs)

    assert sink.texts_by_source["app"] == LINES
    assert [each.counter for each in sink.taken if each.HasField("counter")] == [counter.counter]
    assert {each.tags["seen"] for each in sink.taken} == {"yes"}
    assert (books["dopplers"]["received"], books["dopplers"]["outside"]) == (61, 61)
    assert (books["relay"]["received"], books["relay"]["delivered"]) == (61, 61)


async def test_a_refused_token_is_said_clearly_and_a_better_one_opens_the_firehose(pipeline: Pipeline) -> None:
    sink = FakeSink()
    pipeline.show(pipeline.controller.token("somebody-elses-app"))
    with structlog.testing.capture_logs() as logged:
        async with pipeline.nozzle(sink):

            async def refused() -> bool:
                return any(each["event"] == "firehose_token_refused" for each in logged)

            await eventually(refused)
            pipeline.show(pipeline.controller.token())
            await readers_at(pipeline.doppler, pipeline.certs, 1)
            await send(pipeline.doppler, pipeline.certs, ["hello"])
            await pipeline.has(sink, 1)

    refusal = next(each for each in logged if each["event"] == "firehose_token_refused")
    assert refusal["url"] == f"wss://{pipeline.controller.ports['listen']}/firehose/nozzle-relay"
    assert refusal["token_file"] == str(pipeline.token)
    assert "You are not authorized." in refusal["error"]


async def test_a_traffic_controller_that_comes_back_is_read_again(
    pipeline: Pipeline, certs_dir: Path, tmp_path: Path
) -> None:
    sink = FakeSink()
    doppler, listen = pipeline.doppler, ""
    async with open_controller(certs_dir, tmp_path, doppler_addresses=[doppler["listen"]]) as first:
        listen = first.ports["listen"]
    pipeline.controller.ports = {**first.ports, "listen": listen}  # where nobody listens now

    async with pipeline.nozzle(sink) as nozzle:
        async with open_controller(certs_dir, tmp_path, doppler_addresses=[doppler["listen"]], listen=listen):
            await metric_is(nozzle, certs_dir, "nozzle_doppler_connects_total", 1)
            await readers_at(doppler, certs_dir, 1)
            await send(doppler, certs_dir, ["1"])
            await pipeline.has(sink, 1)
        await metric_is(nozzle, certs_dir, "nozzle_doppler_disconnects_total", 1)
        async with open_controller(certs_dir, tmp_path, doppler_addresses=[doppler["listen"]], listen=listen):
            await metric_is(nozzle, certs_dir, "nozzle_doppler_connects_total", 2)
            await readers_at(doppler, certs_dir, 1)
            await send(doppler, certs_dir, ["2"])
            await pipeline.has(sink, 2)

    assert sink.texts == ["1", "2"]
