"""Several syslog adapters on one subscription, and one that is killed while its drain is away."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import trio

from plumbing.lifecycle import Ports
from plumbing.tls import TlsFiles, server_context
from tests.running import accounts, eventually, readers_at, running, tls_settings
from tests.running_adapter import SyslogServer, bind, running_adapter, send, syslog_server

IN_TIME = 30.0


async def test_no_line_is_missing_or_comes_twice_when_one_joins_or_leaves(certs_dir: Path, tmp_path: Path) -> None:
    sent: list[str] = []

    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler, syslog_server() as server:

        async def send_some() -> None:
            for _ in range(10):
                lines = [f"line {len(sent) + number}" for number in range(20)]
                await send(doppler, certs_dir, "app", *lines)
                sent.extend(lines)

        async def has_all() -> bool:
            return len(server.messages) >= len(sent)

        bind(tmp_path / "b.json", ("app", server.url()))
        file = {"bindings_file": tmp_path / "b.json"}
        async with running_adapter(certs_dir, doppler, **file):
            async with trio.open_nursery() as sending:
                sending.start_soon(send_some)
                async with running_adapter(certs_dir, doppler, readers=2, **file):
                    await send_some()
                    sending.start_soon(send_some)
            await readers_at(doppler, certs_dir, 1)
            await send_some()
            await eventually(has_all, within_s=IN_TIME)
    assert Counter(server.texts()) == Counter(sent)
    assert server.connections == 2


@asynccontextmanager
async def killable_adapter(certs: Path, directory: Path, doppler: Ports) -> AsyncIterator[subprocess.Popen[bytes]]:
    """An adapter as a process, with a spool."""
    settings = {
        **{name: str(path) for name, path in tls_settings(certs, "syslog-adapter").items()},
        "doppler_addresses": [doppler["listen"]],
        "admin_listen": "127.0.0.1:0",
        "bindings_file": str(directory / "b.json"),
        "spool_dir": str(directory / "spool"),
    }
    lines = [f"{name} = {orjson.dumps(value).decode()}" for name, value in settings.items()]
    (directory / "adapter.toml").write_text("[syslog_adapter]\n" + "\n".join(lines))
    with (directory / "output").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "syslog_adapter", "--config", str(directory / "adapter.toml")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        await readers_at(doppler, certs, 1)
        yield process
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(process.wait)


async def test_what_a_dead_drain_is_owed_outlives_a_killed_adapter(certs_dir: Path, tmp_path: Path) -> None:
    many = [f"line {number}." for number in range(500)]
    with trio.socket.socket() as door:
        await door.bind(("127.0.0.1", 0))  # and nobody listens
        bind(tmp_path / "b.json", ("app", f"syslog://127.0.0.1:{door.getsockname()[1]}?spool=true"))
        async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:

            async def is_on_disk() -> bool:
                return many[-1].encode() in b"".join(file.read_bytes() for file in tmp_path.glob("spool/*/*.frames"))

            async def is_confirmed() -> bool:
                books = (await accounts(doppler, certs_dir)).values()
                return not any(book["in_flight"] for book in books if book["kind"] == "subscription")

            async with killable_adapter(certs_dir, tmp_path, doppler):
                for start in range(0, 500, 50):
                    await send(doppler, certs_dir, "app", *many[start : start + 50])
                await eventually(is_on_disk, within_s=IN_TIME)
                await eventually(is_confirmed, within_s=IN_TIME)  # or else it comes again
            await readers_at(doppler, certs_dir, 0)

            door.listen()
            server = SyslogServer(trio.SocketListener(door))
            async with trio.open_nursery() as serving, killable_adapter(certs_dir, tmp_path, doppler):
                serving.start_soon(server.serve)
                await send(doppler, certs_dir, "app", "after")

                async def has_all() -> bool:
                    return "after" in server.texts()

                await eventually(has_all, within_s=IN_TIME)
                serving.cancel_scope.cancel()

    assert server.texts() == [*many, "after"]


async def test_what_is_on_no_disk_yet_when_an_adapter_is_killed_comes_again(certs_dir: Path, tmp_path: Path) -> None:
    many = [f"line {number}." for number in range(50)]
    with trio.socket.socket() as door:
        await door.bind(("127.0.0.1", 0))
        door.listen()
        url = f"syslog-tls://127.0.0.1:{door.getsockname()[1]}?spool=true"
        bind(tmp_path / "b.json", ("app", url), ca=(certs_dir / "ca.crt").read_text())
        async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
            async with killable_adapter(certs_dir, tmp_path, doppler) as adapter:
                await send(doppler, certs_dir, "app", *many)
                with trio.fail_after(IN_TIME):
                    connection, _ = await door.accept()  # it has the lines in hand, and waits for a handshake
                adapter.kill()
            connection.close()
            await readers_at(doppler, certs_dir, 0)

            tls = server_context(TlsFiles.named(certs_dir, "doppler"), require_client_cert=False)
            server = SyslogServer(trio.SocketListener(door), tls)
            async with trio.open_nursery() as serving, killable_adapter(certs_dir, tmp_path, doppler):
                serving.start_soon(server.serve)

                async def has_all() -> bool:
                    return set(many) <= set(server.texts())

                await eventually(has_all, within_s=IN_TIME)
                serving.cancel_scope.cancel()
