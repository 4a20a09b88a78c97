"""App streams at a real doppler, all over one stream of the traffic controller's: who comes and goes harms nobody."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trio
from websockets.trio.client import ClientConnection

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from tests.integration.test_firehose_wire import Pipeline, log, open_pipeline, receive
from tests.running import accounts, eventually, get, running

APPS = [f"app-{number}" for number in range(12)]
ROUNDS = 200
PER_ROUND = 10
IMPATIENT = {"ping_interval_s": 0.2}


class Tailing:
    """What one client has read of one app."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    async def read(self, socket: ClientConnection) -> None:
        async for frame in socket:
            self.numbers.append(int(v1.Envelope.FromString(frame).logMessage.message))


async def send_numbers(pipeline: Pipeline) -> None:
    """Send numbered logs of every app over one stream, some at a time."""
    sender = pipeline.channel.stream_unary(
        "/loggregator.v2.Ingress/BatchSender", request_serializer=v2.EnvelopeBatch.SerializeToString
    )

    def batches() -> Iterator[v2.EnvelopeBatch]:
        for at in range(ROUNDS):
            numbers = range(at * PER_ROUND, (at + 1) * PER_ROUND)
            yield v2.EnvelopeBatch(batch=[log(b"%d" % number, app) for number in numbers for app in APPS])
            time.sleep(0.01)  # the load lasts a while

    with trio.fail_after(60):
        await trio.to_thread.run_sync(sender, batches())


async def come_and_go(pipeline: Pipeline, rng: random.Random, enough: trio.Event) -> None:
    """Tail one app after the other, for a moment each, and leave well or badly."""
    while not enough.is_set():
        tailing = Tailing()
        async with pipeline.connect(f"/apps/{rng.choice(APPS)}/stream", max_queue=None) as socket:
            with trio.move_on_after(rng.random() * 0.3):
                await tailing.read(socket)
            if rng.random() < 0.5:
                await trio.aclose_forcefully(socket.stream)
        # There may be a gap at the beginning: the end of what was sent for another that tailed the app a moment before.
        assert tailing.numbers == sorted(set(tailing.numbers))


async def sources_are(pipeline: Pipeline, count: int) -> None:
    async def so_many() -> bool:
        return f"doppler_selected_sources {count}.0" in await get(pipeline.doppler, pipeline.certs, "/metrics")

    await eventually(so_many)


def subscriptions(books: dict[str, dict[str, Any]], number: str) -> int:
    return sum(each[number] for each in books.values() if each["kind"] == "subscription")


async def audit(pipeline: Pipeline, enough: trio.Event) -> None:
    """Read the books again and again: whenever that is, they balance."""
    while not enough.is_set():
        for ports in (pipeline.doppler, pipeline.traffic_controller):
            await accounts(ports, pipeline.certs)
        await trio.sleep(0.02)


async def stay(pipeline: Pipeline, app: str, tailing: Tailing) -> None:
    async with pipeline.connect(f"/apps/{app}/stream") as socket:
        await tailing.read(socket)


async def test_those_that_stay_get_everything_once_while_fifty_come_and_go(certs_dir: Path, tmp_path: Path) -> None:
    staying = {app: Tailing() for app in APPS[:4]}

    async def all_there() -> bool:
        return all(len(tailing.numbers) >= ROUNDS * PER_ROUND for tailing in staying.values())

    async with open_pipeline(certs_dir, tmp_path, tc=IMPATIENT) as pipeline:
        async with trio.open_nursery() as readers:
            for app, tailing in staying.items():
                readers.start_soon(stay, pipeline, app, tailing)
            await sources_are(pipeline, len(staying))
            enough = trio.Event()
            async with trio.open_nursery() as others:
                others.start_soon(audit, pipeline, enough)
                for seed in range(50):
                    others.start_soon(come_and_go, pipeline, random.Random(seed), enough)
                await send_numbers(pipeline)
                enough.set()
            await eventually(all_there, within_s=20)
            readers.cancel_scope.cancel()

        await sources_are(pipeline, 0)
        doppler = await accounts(pipeline.doppler, certs_dir)
        feed = (await accounts(pipeline.traffic_controller, certs_dir))["app streams"]

    assert all(tailing.numbers == list(range(ROUNDS * PER_ROUND)) for tailing in staying.values())
    assert subscriptions(doppler, "delivered") == feed["received"]
    assert sum(each["dropped"].get("overflow", 0) for each in doppler.values()) == 0


async def test_a_traffic_controller_that_stops_tells_the_dopplers_what_its_app_streams_were_given(
    certs_dir: Path, tmp_path: Path
) -> None:
    async with open_pipeline(certs_dir, tmp_path) as pipeline:
        settings: dict[str, Any] = {
            "doppler_addresses": [pipeline.doppler["listen"]],
            "auth": {"tokens_dir": tmp_path / "tokens"},
        }
        async with running("traffic_controller", certs_dir, **settings) as pipeline.traffic_controller:
            async with pipeline.connect("/apps/a/stream") as socket:
                await sources_are(pipeline, 1)
                for payload in (b"1", b"2"):
                    await pipeline.send(log(payload, "a"))
                    await receive(socket, 1)

        (books,) = [
            each for each in (await accounts(pipeline.doppler, certs_dir)).values() if each["kind"] == "subscription"
        ]
        assert (books["delivered"], books["returned"]) == (2, 0)
