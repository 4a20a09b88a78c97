"""How streams of the gateway end: with a last word when their time is up, and early when nobody reads them."""

import time
from pathlib import Path
from typing import Any

import trio

from tests.running import eventually
from tests.running_gateway import Gateway, logs, open_gateway


async def test_an_idle_stream_has_a_heartbeat_and_a_last_word(certs_dir: Path, tmp_path: Path) -> None:
    async with open_gateway(certs_dir, tmp_path, heartbeat_s=0.2, stream_timeout_s=0.5) as gateway:
        async with gateway.open() as reading:
            lines = (await reading.rest()).split("\n")

    beat = ["event: heartbeat", lines[1], ""]
    assert lines == [*beat, *beat[:1], lines[4], "", "event: closing", "data: closing due to stream timeout", ""]
    assert abs(int(lines[1].removeprefix("data: ")) - time.time()) < 30


async def test_the_time_of_a_stream_is_up_under_load_too(certs_dir: Path, tmp_path: Path) -> None:
    async with open_gateway(certs_dir, tmp_path, heartbeat_s=0.2, stream_timeout_s=0.5) as gateway:
        async with gateway.open() as reading, trio.open_nursery() as nursery:

            async def keep_sending() -> None:
                while True:
                    await gateway.send(*logs([b"x"]))

            nursery.start_soon(keep_sending)
            text = await reading.rest()
            nursery.cancel_scope.cancel()

    assert text.endswith("\n\nevent: closing\ndata: closing due to stream timeout\n")


async def test_the_end_of_the_process_is_said(certs_dir: Path, tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        said: list[str] = []

        async def read(gateway: Gateway, *, task_status: Any) -> None:
            async with gateway.open() as reading:
                task_status.started()
                said.append(await reading.rest())

        async with open_gateway(certs_dir, tmp_path) as gateway:
            await nursery.start(read, gateway)

    assert said == ["event: closing\ndata: closing due to shutdown\n"]


async def test_a_client_that_takes_nothing_is_cut_off_and_loses_nothing(certs_dir: Path, tmp_path: Path) -> None:
    async with open_gateway(certs_dir, tmp_path, slow_reader_s=0.3, resume_bytes=64 << 20) as gateway:
        async with gateway.open() as stuck:
            await gateway.subscribed()
            await gateway.send(*logs([b"0"]))
            first = await stuck.event()
            sent = 1

            async def cut_off() -> bool:
                nonlocal sent
                await gateway.send(*logs([b"%d %s" % (sent, b"x" * (256 << 10))]))
                sent += 1
                return await gateway.metric("slow_readers_total") == 1

            await eventually(cut_off, within_s=60)

        async with gateway.open(last_id=first.id) as reading:
            payloads = await reading.payloads(sent - 1)
        books = await gateway.books()

    assert [int(payload.split()[0]) for payload in payloads] == list(range(1, sent))
    assert books["delivered"] == sent
