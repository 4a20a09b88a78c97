"""Envelopes forwarded to a receiver that acknowledges, hangs up, hangs, or talks nonsense."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgpack
import pytest
import trio
from pydantic import ValidationError

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, Log
from nozzles.fluent import Config, kind, open_nozzle
from nozzles.sdk import Batch, SinkDenied, SinkUnavailable
from plumbing.tls import TlsFiles, server_context
from tests.fakes.fluent_server import FluentServer, running_fluent


def batch_of(numbers: range) -> Batch:
    made = [Envelope(timestamp=n, source_id=f"app-{n % 3}", log=Log(payload=b"x")) for n in numbers]
    return Batch(EnvelopeBatch(batch=made).SerializeToString(), len(made))


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def times(server: FluentServer) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in server.events:
        found.setdefault(event.tag, []).append(event.time_ns)
    return found


@pytest.mark.parametrize("compress", [False, True])
async def test_every_envelope_arrives_and_each_tag_in_order(compress: bool) -> None:
    async with running_fluent(FluentServer()) as server:
        config = Config(address=server.address, compress=compress, max_message_bytes=500)
        async with open_nozzle(config) as write:
            await write(batch_of(range(90)))
            await write(batch_of(range(90, 180)))

        assert times(server) == {f"standpipe.log.app-{n}": list(range(n, 180, 3)) for n in range(3)}
        assert server.connections == 1
        assert {option.get("compressed") for option in server.options} == {"gzip" if compress else None}


async def test_a_chunk_is_compressed_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    compress, threads = gzip.compress, set[int]()

    def watched(*args: Any, **settings: Any) -> bytes:
        threads.add(threading.get_ident())
        return compress(*args, **settings)

    monkeypatch.setattr(gzip, "compress", watched)
    async with running_fluent(FluentServer()) as server:
        async with open_nozzle(Config(address=server.address, compress=True)) as write:
            await write(batch_of(range(3)))

    assert threads
    assert threading.get_ident() not in threads


def test_a_message_has_a_bound() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 67108864"):
        Config(address="127.0.0.1:1", max_message_bytes=(64 << 20) + 1)


async def test_only_what_was_not_acknowledged_is_left() -> None:
    async with running_fluent(FluentServer(hangs_up_after=1)) as server:
        async with open_nozzle(Config(address=server.address)) as write:
            with pytest.raises(SinkUnavailable) as failed:
                await write(batch_of(range(9)))
            assert failed.value.left is not None
            assert [envelope.timestamp for envelope in failed.value.left] == [1, 2, 4, 5, 7, 8]
            await write(failed.value.left)

        assert times(server) == {f"standpipe.log.app-{n}": list(range(n, 9, 3)) for n in range(3)}


async def test_a_receiver_that_withholds_its_acknowledgement_is_left() -> None:
    async with running_fluent(FluentServer(acknowledges=False)) as server:
        async with open_nozzle(Config(address=server.address, ack_timeout_s=0.3)) as write:
            with pytest.raises(SinkUnavailable) as failed:
                await write(batch_of(range(3)))
            assert failed.value.left is not None
            assert failed.value.left.count == 3
            server.acknowledges = True
            await write(batch_of(range(3)))

        assert server.connections == 2


@pytest.mark.parametrize(
    "answer", [b"\xc1", msgpack.packb({"ack": 5}), msgpack.packb(["nack"]), b"\xdb\x7f\xff\xff\xff" + b"x" * 200_000]
)
async def test_a_receiver_that_talks_nonsense_is_left(answer: bytes) -> None:
    async with running_fluent(FluentServer(answer=answer)) as server:
        async with open_nozzle(Config(address=server.address)) as write:
            with pytest.raises(SinkUnavailable, match="the receiver says"):
                await write(batch_of(range(1)))


async def test_a_write_that_is_cancelled_leaves_no_connection_to_the_next() -> None:
    async with running_fluent(FluentServer(acknowledges=False)) as server:
        async with open_nozzle(Config(address=server.address)) as write:
            with trio.move_on_after(0.2) as scope:
                await write(batch_of(range(3)))
            assert scope.cancelled_caught
            server.acknowledges = True
            await write(batch_of(range(3)))

        assert server.connections == 2


async def test_nobody_there_means_try_again() -> None:
    async with open_nozzle(Config(address="127.0.0.1:1")) as write:
        with pytest.raises(SinkUnavailable):
            await write(batch_of(range(1)))


async def test_both_sides_prove_the_shared_key_and_a_password(tmp_path: Path) -> None:
    key, password = private(tmp_path / "key", "k3y\n"), private(tmp_path / "password", "pa55")
    receiver = FluentServer(shared_key="k3y", users={"nozzle": "pa55"})
    async with running_fluent(receiver) as server:
        settings = {"shared_key_file": key, "user": "nozzle", "password_file": password}
        async with open_nozzle(Config(address=server.address, **settings)) as write:
            await write(batch_of(range(1)))
            private(password, "other")
        async with open_nozzle(Config(address=server.address, **settings)) as write:
            with pytest.raises(SinkDenied, match=r"username/password mismatch; mend .*password_file"):
                await write(batch_of(range(1)))
        assert len(server.events) == 1


async def test_a_receiver_that_does_not_know_the_key_gets_no_event(tmp_path: Path) -> None:
    key = private(tmp_path / "key", "k3y")
    async with running_fluent(FluentServer(shared_key="k3y", proof_key="guessed")) as server:
        async with open_nozzle(Config(address=server.address, shared_key_file=key)) as write:
            with pytest.raises(SinkDenied, match="does not know the shared key"):
                await write(batch_of(range(1)))
        assert server.options == []


async def test_a_connection_can_be_tls_both_ways(certs_dir: Path, other_certs_dir: Path) -> None:
    own = TlsFiles.named(certs_dir, "nozzle")
    tls = server_context(TlsFiles.named(certs_dir, "doppler"), require_client_cert=True)
    settings = {"tls_ca": own.ca, "tls_cert": own.cert, "tls_key": own.key}
    async with running_fluent(FluentServer(), tls) as server:
        async with open_nozzle(Config(address=server.address, **settings)) as write:
            await write(batch_of(range(2)))
        settings["tls_ca"] = other_certs_dir / "ca.crt"
        async with open_nozzle(Config(address=server.address, **settings)) as write:
            with pytest.raises(SinkUnavailable):
                await write(batch_of(range(2)))
        assert len(server.events) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tag": "a.<instance>"}, "<instance> of the tag"),
        ({"user": "a"}, "together"),
        ({"user": "a", "password_file": Path("p")}, "needs shared_key_file"),
        ({"tls_cert": Path("c")}, "tls_key are given together"),
        ({"tls_cert": Path("c"), "tls_key": Path("k")}, "needs tls_ca"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Config(**{"address": "127.0.0.1:24224", **settings})


def test_it_needs_no_library_of_another_nozzle() -> None:
    loaded = "import sys, nozzles.fluent; print([name for name in ('nats', 'confluent_kafka') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"


def test_it_promises_at_least_once() -> None:
    assert kind.delivery == "at-least-once"
