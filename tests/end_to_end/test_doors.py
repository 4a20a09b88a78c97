"""What comes in by the doors of others, and goes out by theirs: UDP, a scraped target, server-sent events, a UAA."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from envelope.pb import dropsonde_pb2 as v1
from plumbing.tls import client_context
from tests.end_to_end.systems import (
    RunningUp,
    accounts,
    dopplers,
    eventually,
    firehose,
    is_subscribed,
    run_command,
    up,
)
from tests.fakes.capi import FakeCapi
from tests.fakes.uaa import FakeUaa

APP, OTHER_APP = "f47ac10b-58cc-4372-a567-0e02b2c3d479", "11111111-58cc-4372-a567-0e02b2c3d479"
METRICS = b"""# TYPE requests_total counter
requests_total{code="200"} 17
# TYPE temperature gauge
temperature{unit="celsius"} 21.5
"""


class _Target(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(METRICS)))
        self.end_headers()
        self.wfile.write(METRICS)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def target() -> Iterator[int]:
    """A Prometheus endpoint; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Target)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, target: int) -> Iterator[RunningUp]:
    """A whole system that scrapes the target."""
    directory = tmp_path_factory.mktemp("doors")
    config = directory / "standpipe.toml"
    config.write_text(
        f'[[metron.prometheus.targets]]\nport = {target}\nsource_id = "scraped"\nscrape_interval = "500ms"\n'
    )
    with up(directory / "data", "--config", str(config)) as system:
        yield system


def send_datagram(system: RunningUp, door: str, datagram: bytes) -> None:
    host, _, port = system.endpoints[f"metron.{door}"].rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(datagram, (host, int(port)))


def test_statsd_dropsonde_and_a_scraped_target_appear_in_the_firehose(running: RunningUp) -> None:
    log = v1.LogMessage(message=b"from dropsonde", message_type=v1.LogMessage.OUT, timestamp=1, app_id=APP)
    envelope = v1.Envelope(origin="rep", eventType=v1.Envelope.LogMessage, timestamp=1, logMessage=log)
    with firehose(running, "doors") as reader:
        send_datagram(running, "statsd", b"shop.orders:3|c|#region:eu\nshop.latency:12|ms\n")
        send_datagram(running, "dropsonde", envelope.SerializeToString())

        def has_come() -> bool:
            return (
                {"orders", "latency"} <= names(reader.records, "shop")
                and "from dropsonde" in reader.messages(APP)
                and {"requests_total", "temperature"} <= names(reader.records, "scraped")
            )

        assert eventually(has_come), reader.output


def names(records: list[dict[str, Any]], source: str) -> set[str]:
    """The names of the metrics of one source, however the records have them."""
    metrics = [record for record in records if record["source_id"] == source]
    return {record["name"] for record in metrics if "name" in record} | {
        name for record in metrics for name in record.get("metrics", ())
    }


def test_a_reader_of_the_gateway_resumes_where_it_was_killed(running: RunningUp, tmp_path: Path) -> None:
    with gateway(running, tmp_path / "first", "source_id=numbers&log") as first:
        assert eventually(lambda: asked_for(running) >= 1)
        emit_numbers(running, range(500))
        assert eventually(lambda: len(events(first)) >= 1)
    last_id, before = until_last_event(tmp_path / "first")
    emit_numbers(running, range(500, 1000))

    again = f"Last-Event-ID: {last_id}"
    with gateway(running, tmp_path / "second", "source_id=numbers&log", again) as second:
        assert eventually(lambda: len(before) + len(numbers(second)) >= 1000)
        assert before + numbers(second) == list(range(1000))


@contextmanager
def gateway(system: RunningUp, output: Path, query: str, *headers: str) -> Iterator[Path]:
    """Read from the gateway in a process of its own for the time of the block, and kill it."""
    token = (system.data_dir / "tokens" / "admin").read_text()
    url = f"https://{system.endpoints['reverse_log_proxy.gateway']}/v2/read?{query}"
    ca = str(system.data_dir / "certs" / "ca.crt")
    command = [sys.executable, "-m", "tests.end_to_end.read_stream", url, ca, f"Authorization: bearer {token}"]
    with output.open("wb") as file:
        process = subprocess.Popen([*command, *headers], stdout=file)
    try:
        yield output
    finally:
        process.kill()
        process.wait()


def asked_for(system: RunningUp) -> int:
    """How many subscribers every Doppler has through the gateway."""
    books = [system.get(name, "/ledger")["accounts"] for name in dopplers(system)]
    return min(sum(account["account"].startswith("unnamed-") for account in book) for book in books)


def emit_numbers(system: RunningUp, which: range) -> None:
    lines = "".join(f"{number}\n" for number in which).encode()
    assert run_command(system.data_dir, "emit", "--source", "numbers", "-", stdin=lines).returncode == 0


def events(output: Path) -> list[str]:
    """The whole events that were written so far."""
    return output.read_bytes().decode().split("\n\n")[:-1]


def numbers(output: Path) -> list[int]:
    return [number for event in events(output) for number in numbers_of(event)]


def numbers_of(event: str) -> list[int]:
    data = [line.removeprefix("data: ") for line in event.splitlines() if line.startswith("data: {")]
    return [int(b64decode(each["log"]["payload"])) for text in data for each in json.loads(text)["batch"]]


def until_last_event(output: Path) -> tuple[str, list[int]]:
    """The id of the last whole event with data, and the numbers up to there."""
    whole = [event for event in events(output) if "id: " in event]
    ids = [line.removeprefix("id: ") for line in whole[-1].splitlines() if line.startswith("id: ")]
    return ids[0], [number for event in whole for number in numbers_of(event)]


@pytest.fixture(scope="module")
def uaa_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningUp, FakeUaa, FakeCapi]]:
    """A whole system whose doors ask a UAA and a Cloud Controller."""
    directory = tmp_path_factory.mktemp("uaa")
    assert run_command(directory / "data", "certs").returncode == 0
    certs = directory / "data" / "certs"
    secret = directory / "secret"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    with FakeUaa(certs, client_secret="hunter2") as uaa, FakeCapi(certs, uaa.who) as capi:
        capi.apps[APP] = {"alice"}
        config = directory / "standpipe.toml"
        config.write_text(
            f"""[standpipe.auth]
uaa_url = "{uaa.url}"
uaa_ca = "{certs}/ca.crt"
uaa_client_id = "{uaa.client_id}"
uaa_client_secret_file = "{secret}"
capi_url = "{capi.url}"
capi_ca = "{certs}/ca.crt"
capi_cert = "{certs}/client.crt"
capi_key = "{certs}/client.key"
"""
        )
        with up(directory / "data", "--config", str(config), "--auth", "uaa") as system:
            yield system, uaa, capi


def websocket_status(system: RunningUp, path: str, token: str | None) -> int:
    """Open a stream and leave it; returns 101, or the status of the refusal."""
    headers = {} if token is None else {"Authorization": f"bearer {token}"}
    url = f"wss://{system.endpoints['traffic_controller']}{path}"

    async def status() -> int:
        try:
            async with connect(url, ssl=trusting(system), additional_headers=headers, compression=None):
                return 101
        except InvalidStatus as refusal:
            return refusal.response.status_code

    return asyncio.run(status())


def gateway_status(system: RunningUp, query: str, token: str | None) -> int:
    """Ask the gateway and leave; returns its status."""
    headers = {} if token is None else {"Authorization": f"bearer {token}"}
    url = f"https://{system.endpoints['reverse_log_proxy.gateway']}/v2/read?{query}"
    with httpx.stream("GET", url, headers=headers, verify=trusting(system), trust_env=False) as answer:
        return answer.status_code


def trusting(system: RunningUp) -> ssl.SSLContext:
    return client_context(system.data_dir / "certs" / "ca.crt")


def test_with_a_uaa_each_token_opens_what_the_tables_say(
    uaa_system: tuple[RunningUp, FakeUaa, FakeCapi],
) -> None:
    system, uaa, _ = uaa_system
    admin, reader, stranger = (
        uaa.token("doppler.firehose", user="root"),
        uaa.token("cloud_controller.read", user="alice"),
        uaa.token("logs.admin", user="bob"),
    )
    expired = uaa.token("doppler.firehose", expires_in=-5)
    local = (system.data_dir / "tokens" / "admin").read_text()

    firehoses = [websocket_status(system, "/firehose/s", token) for token in (admin, reader, stranger, expired)]
    assert firehoses == [101, 401, 401, 401]
    assert websocket_status(system, "/firehose/s", None) == 401
    assert websocket_status(system, "/firehose/s", local) == 401

    assert websocket_status(system, f"/apps/{APP}/stream", reader) == 101
    assert websocket_status(system, f"/apps/{APP}/stream", stranger) == 404
    assert websocket_status(system, f"/apps/{OTHER_APP}/stream", reader) == 404
    assert websocket_status(system, f"/apps/{APP}/stream", None) == 401
    assert websocket_status(system, "/apps/not-a-guid/stream", reader) == 401

    assert gateway_status(system, "log", admin) == 200
    assert gateway_status(system, "log", stranger) == 200
    assert gateway_status(system, "log", reader) == 404
    assert gateway_status(system, f"log&source_id={APP}", reader) == 200
    assert gateway_status(system, f"log&source_id={OTHER_APP}", reader) == 404
    assert gateway_status(system, f"log&source_id={APP}", None) == 404


def test_when_the_authorities_are_down_a_yes_still_counts_and_nobody_new_comes_in(
    uaa_system: tuple[RunningUp, FakeUaa, FakeCapi],
) -> None:
    system, uaa, capi = uaa_system
    known, known_reader = uaa.token("doppler.firehose", user="root"), uaa.token(user="alice")
    assert websocket_status(system, "/firehose/s", known) == 101
    assert websocket_status(system, f"/apps/{APP}/stream", known_reader) == 101
    late, late_reader = uaa.token("doppler.firehose", user="late"), uaa.token(user="alice")

    uaa.be("down")
    capi.be("down")
    try:
        assert websocket_status(system, "/firehose/s", known) == 101
        assert websocket_status(system, f"/apps/{APP}/stream", known_reader) == 101
        assert websocket_status(system, "/firehose/s", late) == 401
        assert websocket_status(system, f"/apps/{APP}/stream", late_reader) == 500
    finally:
        uaa.be("well")
        capi.be("well")


def test_the_books_balance_beside_readers_of_every_kind(running: RunningUp) -> None:
    with firehose(running, "beside"):
        assert is_subscribed(running, "beside")
        assert accounts(running, "reverse_log_proxy", "all")
        ledger = run_command(running.data_dir, "ledger", "--json")
    assert ledger.returncode == 0, ledger.stdout
