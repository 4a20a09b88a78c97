"""Envelopes published to the streams of a real NATS server, which is killed, held still and refuses."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import nats
import pytest
import trio
from nats.aio.client import Client
from pydantic import ValidationError

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, Log
from nozzles.messages import Message
from nozzles.nats_jetstream import Config, kind, open_nozzle
from nozzles.nats_jetstream.publisher import subject_of
from nozzles.sdk import Batch, SinkDenied, SinkUnavailable
from plumbing.config import ConfigError
from plumbing.island import open_island
from plumbing.tls import TlsFiles, client_context
from tests.fakes.nats_server import NatsServer, running_nats

T = TypeVar("T")
SMALL = {"max_stream_bytes": 10_000_000}


def batch_of(numbers: range, batch_id: str = "", payload: bytes = b"") -> Batch:
    made = [Envelope(timestamp=n, source_id=f"app-{n % 3}", log=Log(payload=payload or b"x")) for n in numbers]
    return Batch(EnvelopeBatch(batch=made).SerializeToString(), len(made), batch_id)


def config_of(server: NatsServer, **settings: Any) -> Config:
    return Config(**{"servers": (server.address,), "stream": "logs", "create_stream": True, **SMALL, **settings})


async def asked(server: NatsServer, ask: Callable[[Client], Awaitable[T]], **options: Any) -> T:
    """Ask the server something as a client of its own."""

    async def once() -> T:
        client = await nats.connect(f"nats://{server.address}", **options)
        try:
            return await ask(client)
        finally:
            await client.close()

    async with open_island() as island:
        return await island.run(once)


async def stored(server: NatsServer, **options: Any) -> list[Any]:
    """Read all that the stream holds, in its order."""

    async def read(client: Client) -> list[Any]:
        stream = client.jetstream()
        count = (await stream.stream_info("logs")).state.messages
        reader = await stream.pull_subscribe("", stream="logs")
        messages: list[Any] = []
        while len(messages) < count:
            fetched = await reader.fetch(min(500, count - len(messages)), timeout=20)
            for message in fetched:
                await message.ack()
            messages += fetched
        return messages

    return await asked(server, read, **options)


async def timestamps(server: NatsServer) -> list[int]:
    return [int(json.loads(message.data)["timestamp"]) for message in await stored(server)]


async def test_every_envelope_is_published_in_order(tmp_path: Path) -> None:
    async with running_nats(tmp_path) as server, open_nozzle(config_of(server)) as write:
        await write(batch_of(range(500)))
        await write(batch_of(range(500, 1000)))

        assert await timestamps(server) == list(range(1000))
        assert (await stored(server))[1].subject == "standpipe.log.app-1"


async def test_a_batch_that_is_written_twice_with_its_id_is_there_once(tmp_path: Path) -> None:
    async with running_nats(tmp_path) as server, open_nozzle(config_of(server)) as write:
        for _ in range(2):
            await write(batch_of(range(50), "spool-1"))
            await write(batch_of(range(50, 100), "spool-2"))

        assert await timestamps(server) == list(range(100))
        assert (await stored(server))[7].headers["Nats-Msg-Id"] == "spool-1-7"


async def test_a_batch_without_an_id_has_no_ids(tmp_path: Path) -> None:
    async with running_nats(tmp_path) as server, open_nozzle(config_of(server)) as write:
        for _ in range(2):
            await write(batch_of(range(1)))

        assert await timestamps(server) == [0, 0]


async def test_an_envelope_can_travel_as_protobuf(tmp_path: Path) -> None:
    async with running_nats(tmp_path) as server, open_nozzle(config_of(server, format="protobuf")) as write:
        await write(batch_of(range(3)))

        assert [Envelope.FromString(message.data).timestamp for message in await stored(server)] == [0, 1, 2]


async def _until_safe(write: Callable[[Batch], Awaitable[None]], batch: Batch) -> None:
    """Do what the runner does: try again with what is left."""
    while True:
        try:
            return await write(batch)
        except SinkUnavailable as unavailable:
            batch = unavailable.left or batch
            await trio.sleep(0.01)


@pytest.mark.parametrize("batch_id", ["spool-{}", ""])
async def test_a_server_that_is_killed_loses_nothing(tmp_path: Path, batch_id: str) -> None:
    async with running_nats(tmp_path) as server, open_nozzle(config_of(server)) as write:
        written = trio.Event()

        async def write_all() -> None:
            for number in range(20):
                await _until_safe(write, batch_of(range(number * 100, number * 100 + 100), batch_id.format(number)))
                written.set()

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(write_all)
                await written.wait()
                server.kill()
                await server.start()

        found = await timestamps(server)
        assert set(found) == set(range(2000))
        assert found == list(range(2000)) or not batch_id  # with ids nothing is there twice either, and all in order


async def test_a_server_that_does_not_answer_is_left(tmp_path: Path) -> None:
    async with running_nats(tmp_path) as server, open_nozzle(config_of(server, ack_timeout_s=1.0)) as write:
        await write(batch_of(range(1)))
        server.stop()
        with pytest.raises(SinkUnavailable, match="not acknowledged within 1 s") as failed:
            await write(batch_of(range(1, 4)))
        assert failed.value.left is not None
        assert failed.value.left.count == 3


async def test_the_whole_of_a_batch_with_an_id_is_tried_again_so_that_its_ids_stay(tmp_path: Path) -> None:
    settings = {"create_stream": False, "stream": "elsewhere"}
    async with running_nats(tmp_path) as server, open_nozzle(config_of(server, **settings)) as write:
        with pytest.raises(SinkUnavailable) as failed:
            await write(batch_of(range(4), "spool-1"))
        assert failed.value.left is None


async def test_no_stream_means_try_again(tmp_path: Path) -> None:
    async with running_nats(tmp_path) as server, open_nozzle(config_of(server, create_stream=False)) as write:
        with pytest.raises(SinkUnavailable, match="not taken"):
            await write(batch_of(range(4)))


async def test_what_is_too_large_for_the_server_is_refused_and_the_rest_is_safe(tmp_path: Path) -> None:
    """The server counts the headers, and hangs up over a byte too many: the largest that fits has to go."""
    async with running_nats(tmp_path, "max_payload: 2000") as server, open_nozzle(config_of(server)) as write:
        refused = {}
        for size in range(1340, 1440):
            batch = batch_of(range(size, size + 1), "spool-1", b"x" * size)
            batch.id = f"spool-{size}"
            await write(batch)
            refused[size] = batch.refused

        kept = [size for size, reasons in refused.items() if not reasons]
        assert await timestamps(server) == kept
        assert kept
        assert refused[1439] == {"too_large": 1}


async def test_what_is_too_large_for_the_stream_is_refused(tmp_path: Path) -> None:
    async def create(client: Client) -> None:
        await client.jetstream().add_stream(name="logs", subjects=["standpipe.>"], max_msg_size=500)

    async with running_nats(tmp_path) as server, open_nozzle(config_of(server)) as write:
        await asked(server, create)
        batch = batch_of(range(2))
        large = batch_of(range(2, 3), "", b"x" * 600)
        both = Batch(batch.data + large.data, 3)
        await write(both)

        assert both.refused == {"too_large": 1}
        assert await timestamps(server) == [0, 1]


async def test_a_stream_that_exists_stays_as_it_is(tmp_path: Path) -> None:
    async def create(client: Client) -> None:
        await client.jetstream().add_stream(name="logs", subjects=["standpipe.log.*"], max_msgs=2)

    async with running_nats(tmp_path) as server, open_nozzle(config_of(server)) as write:
        await asked(server, create)
        await write(batch_of(range(5)))

        assert await timestamps(server) == [3, 4]


async def test_a_created_stream_has_the_settings_it_was_given(tmp_path: Path) -> None:
    async def info(client: Client) -> Any:
        return (await client.jetstream().stream_info("logs")).config

    settings = {"duplicate_window_s": 7.0, "max_stream_bytes": 1_000_000, "max_age_s": 60.0}
    async with running_nats(tmp_path) as server, open_nozzle(config_of(server, **settings)) as write:
        await write(batch_of(range(1)))
        made = await asked(server, info)

        assert (made.duplicate_window, made.max_bytes, made.max_age) == (7.0, 1_000_000, 60.0)


async def test_a_server_that_is_not_there_means_try_again(tmp_path: Path) -> None:
    server = NatsServer(tmp_path)
    async with open_nozzle(config_of(server)) as write:
        with pytest.raises(SinkUnavailable, match="cannot connect"):
            await write(batch_of(range(1)))


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


async def test_a_token_and_a_password_come_from_files(tmp_path: Path) -> None:
    token = private(tmp_path / "token", "s3cret\n")
    async with running_nats(tmp_path, 'authorization { token: "s3cret" }') as server:
        async with open_nozzle(config_of(server)) as write:
            with pytest.raises(SinkDenied, match=r"cannot connect.*mend .*token_file"):
                await write(batch_of(range(1)))
        async with open_nozzle(config_of(server, token_file=token)) as write:
            await write(batch_of(range(1)))

    private(tmp_path / "password", "pa55")
    settings = {"user": "nozzle", "password_file": tmp_path / "password"}
    async with running_nats(tmp_path, 'authorization { user: nozzle, password: "pa55" }') as server:
        async with open_nozzle(config_of(server, **settings)) as write:
            await write(batch_of(range(1)))


async def test_a_secret_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    token = private(tmp_path / "token", "s3cret")
    token.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        async with open_nozzle(Config(servers=("127.0.0.1:1",), token_file=token)):
            pass


async def test_a_connection_can_be_tls_both_ways(tmp_path: Path, certs_dir: Path, other_certs_dir: Path) -> None:
    files, own = TlsFiles.named(certs_dir, "doppler"), TlsFiles.named(certs_dir, "nozzle")
    tls = f'tls {{ cert_file: "{files.cert}", key_file: "{files.key}", ca_file: "{files.ca}", verify: true }}'
    async with running_nats(tmp_path, tls) as server:
        settings = {"tls_ca": own.ca, "tls_cert": own.cert, "tls_key": own.key}
        async with open_nozzle(config_of(server, **settings)) as write:
            await write(batch_of(range(3)))
        async with open_nozzle(config_of(server, **{**settings, "tls_ca": other_certs_dir / "ca.crt"})) as write:
            with pytest.raises(SinkUnavailable, match=r"(?i)certificate.verify.failed"):
                await write(batch_of(range(1)))

        assert len(await stored(server, tls=client_context(own.ca, own.cert, own.key))) == 3


def test_a_subject_has_no_more_parts_than_it_should() -> None:
    def subject(source_id: bytes) -> str:
        return subject_of("a.b", Message(0, "log", source_id, b""))

    assert subject(b"a.b *>\r\n") == "a.b.log.a_b_____"
    assert subject(b"") == "a.b.log._"
    assert subject("ü\N{BLACK STAR}".encode() + b"\xff") == "a.b.log.___"
    assert subject(b"x" * 5000) == "a.b.log." + "x" * 200


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"create_stream": True}, "needs the name"),
        ({"user": "a"}, "together"),
        ({"token_file": Path("t"), "credentials_file": Path("c")}, "exclude"),
        ({"tls_cert": Path("c")}, "tls_key are given together"),
        ({"tls_cert": Path("c"), "tls_key": Path("k")}, "needs tls_ca"),
        ({"subject_prefix": "a.>"}, "pattern"),
        ({"servers": ()}, "at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Config(**{"servers": ("127.0.0.1:4222",), **settings})


def test_it_promises_exactly_once() -> None:
    assert kind.delivery == "exactly-once"
