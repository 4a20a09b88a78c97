"""Run components in this process, on free ports, for the time of a test."""

from __future__ import annotations

import errno
import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import trio

import doppler
import log_cache
import metron
import reverse_log_proxy
import traffic_controller
from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.certs import LEAF_OF
from plumbing.lifecycle import Ports
from plumbing.tls import TlsFiles, client_context

_ROOMS: Mapping[str, Any] = {
    "doppler": doppler,
    "metron": metron,
    "traffic_controller": traffic_controller,
    "reverse_log_proxy": reverse_log_proxy,
    "log_cache": log_cache,
}


@asynccontextmanager
async def running(room: str, certs: Path, **settings: Any) -> AsyncIterator[Ports]:
    """Run one component with `settings`; yields its ports once it accepts work, and drains it on leaving."""
    defaults: dict[str, Any] = {"listen": "127.0.0.1:0", **tls_settings(certs, LEAF_OF[room])}
    if room == "doppler":
        defaults["self_metrics_interval_s"] = 0  # tests count envelopes
    if room == "log_cache":
        defaults["memory_limit_bytes"] = 0  # of the process, which here is that of all the tests
    async with serving(_ROOMS[room].serve, _ROOMS[room].Config(**{**defaults, **settings})) as ports:
        yield ports


def tls_settings(certs: Path, leaf: str) -> dict[str, Any]:
    """The settings of a component that has this certificate."""
    files = TlsFiles.named(certs, leaf)
    return {"tls_ca": files.ca, "tls_cert": files.cert, "tls_key": files.key}


@asynccontextmanager
async def serving(serve: Callable[..., Any], config: Any) -> AsyncIterator[Ports]:
    """Run what a component's `serve` does; yields its ports once it accepts work, and drains it on leaving."""
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        ports = await _started(nursery, partial(serve, config, stop=stop))
        try:
            yield ports
        finally:
            stop.set()


async def _started(nursery: trio.Nursery, serve: Callable[..., Any]) -> Ports:
    """Start a component; a port that it had before may be the other end of somebody's connection for a moment."""
    for _ in range(100):
        try:
            ports: Ports = await nursery.start(serve)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            await trio.sleep(0.1)
        else:
            return ports
    raise AssertionError("the port of before is in use, and stays so")


def dial(address: str, certs: Path, server_name: str, *extra: tuple[str, int]) -> grpc.Channel:
    """Open a plain synchronous channel, as a client of the original's would."""
    files = TlsFiles.named(certs, "client")
    credentials = grpc.ssl_channel_credentials(
        files.ca.read_bytes(), private_key=files.key.read_bytes(), certificate_chain=files.cert.read_bytes()
    )
    options = [("grpc.ssl_target_name_override", server_name), ("grpc.max_send_message_length", -1)]
    return grpc.secure_channel(address, credentials, options=[*options, *extra])


async def in_thread(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Let a blocking client work; it is given up when it takes long."""
    with trio.fail_after(20):
        return await trio.to_thread.run_sync(partial(function, *args, **options), abandon_on_cancel=True)


async def send_over(channel: grpc.Channel, *envelopes: v2.Envelope) -> None:
    """Send one batch as an agent does, and wait for the answer."""
    await send_batches(channel, [v2.EnvelopeBatch(batch=envelopes)])


async def send_batches(channel: grpc.Channel, batches: Iterable[v2.EnvelopeBatch]) -> None:
    """Send batches over one stream, and wait for its answer."""
    sender = channel.stream_unary(
        "/loggregator.v2.Ingress/BatchSender", request_serializer=v2.EnvelopeBatch.SerializeToString
    )
    await in_thread(sender, iter(batches))


async def get(ports: Ports, certs: Path, path: str) -> Any:
    """Ask a component's admin port: JSON, or text where it is none."""
    files = TlsFiles.named(certs, "client")
    async with httpx.AsyncClient(verify=client_context(files.ca, files.cert, files.key)) as client:
        response = await client.get(f"https://{ports['admin']}{path}")
    response.raise_for_status()
    return response.json() if "json" in response.headers["content-type"] else response.text


async def metric(ports: Ports, certs: Path, name: str) -> float:
    """Read one of a component's metrics, NaN where it has none such; one with labels is named with all of them."""
    lines = (await get(ports, certs, "/metrics")).splitlines()
    return next((float(line.removeprefix(f"{name} ")) for line in lines if line.startswith(f"{name} ")), math.nan)


async def metric_is(ports: Ports, certs: Path, name: str, value: float) -> None:
    """Wait until one of a component's metrics has a value."""

    async def has_it() -> bool:
        return await metric(ports, certs, name) == value

    await eventually(has_it)


async def readers_at(doppler: Ports, certs: Path, count: int) -> None:
    """Wait until so many streams are open at a doppler."""
    await metric_is(doppler, certs, "doppler_readers", count)


async def accounts(ports: Ports, certs: Path) -> dict[str, dict[str, Any]]:
    """Read a component's books: account name → account. Each must balance at any moment."""
    book = await get(ports, certs, "/ledger")
    assert all(account["balance"] == 0 for account in book["accounts"]), book
    return {account["account"]: account for account in book["accounts"]}


async def eventually(condition: Any, *, within_s: float = 10.0) -> None:
    """Wait until an async condition holds; it is asked again and again."""
    with trio.fail_after(within_s):
        while not await condition():
            await trio.sleep(0.01)
