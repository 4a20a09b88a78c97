"""The examples, run as real processes against a real doppler and what stands behind it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import grpc
import trio

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from plumbing.tokens import TokenStore
from tests.running import accounts, dial, eventually, running

EXAMPLES = Path(__file__).parents[2] / "examples"


async def test_the_firehose_reader_prints_every_log(certs_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "certs").symlink_to(certs_dir)
    TokenStore(tmp_path / "tokens").ensure_admin_token(time.time())
    async with running("doppler", certs_dir, drain_grace_s=0.5) as doppler:
        settings = {
            "doppler_addresses": [doppler["listen"]],
            "auth": {"tokens_dir": tmp_path / "tokens"},
            "drain_grace_s": 0.5,
        }
        async with running("traffic_controller", certs_dir, **settings) as ports:
            (tmp_path / "endpoints.json").write_text(json.dumps({"traffic_controller": ports["listen"]}))

            printed = await _print_two_lines("firehose_reader.py", doppler, certs_dir, tmp_path)

    assert printed == b"shop order 17\nshop order 18\n"


async def test_the_grpc_reader_prints_every_log(certs_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "certs").symlink_to(certs_dir)
    async with running("doppler", certs_dir, drain_grace_s=0.5) as doppler:
        settings = {"doppler_addresses": [doppler["listen"]], "drain_grace_s": 0.5}
        async with running("reverse_log_proxy", certs_dir, **settings) as ports:
            (tmp_path / "endpoints.json").write_text(json.dumps({"reverse_log_proxy": ports["listen"]}))

            printed = await _print_two_lines("grpc_reader.py", doppler, certs_dir, tmp_path)

    assert printed == b"shop order 17\nshop order 18\n"


async def _print_two_lines(example: str, doppler: Ports, certs: Path, data_dir: Path) -> bytes:
    """Run the reader, send it two logs and a counter, and return what it has printed of them."""
    command = [sys.executable, str(EXAMPLES / example), str(data_dir)]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        await eventually(lambda: _is_subscribed(doppler, certs), within_s=20)
        with dial(doppler["listen"], certs, "doppler") as channel:
            await trio.to_thread.run_sync(_send, channel)
        printed = b""
        with trio.fail_after(20):
            while printed.count(b"\n") < 2:
                printed += await process.stdout.receive_some() or b"(ended)\n\n"
        return printed
    finally:
        process.terminate()
        await process.wait()
        await process.stdout.aclose()


async def _is_subscribed(doppler: Ports, certs: Path) -> bool:
    return any(name.startswith("example-") for name in await accounts(doppler, certs))


def _send(channel: grpc.Channel) -> None:
    sender = channel.stream_unary(
        "/loggregator.v2.Ingress/BatchSender", request_serializer=v2.EnvelopeBatch.SerializeToString
    )
    logs = [v2.Envelope(source_id="shop", timestamp=1, log={"payload": b"order %d" % n}) for n in (17, 18)]
    counter = v2.Envelope(source_id="shop", counter={"name": "orders", "delta": 1})
    sender(iter([v2.EnvelopeBatch(batch=[logs[0], counter, logs[1]])]), timeout=20)
