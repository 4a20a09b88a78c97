"""An agent amid floods, nonsense, Dopplers that never answer and targets that lie: what is good goes through."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from plumbing.tls import TlsFiles, client_context
from tests.end_to_end.flooder import dropsonde_log
from tests.end_to_end.systems import (
    PATIENCE_S,
    Command,
    RunningUp,
    accounts,
    dopplers,
    eventually,
    firehose,
    load,
    run_command,
    running_command,
    up,
)

SILENT = """
[doppler]
self_metrics_interval_s = 0
[traffic_controller]
agent_address = ""
"""
"""Nobody tells of itself: all envelopes are those of the test."""

MOST_MIB = 300
"""Memory that an agent may have at any time: it begins with 90, a flood adds 5, answers without end add 80."""


@pytest.fixture(scope="module")
def running(certs_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """A system that most tests here share."""
    with system_with(certs_dir, tmp_path_factory.mktemp("faults"), "") as system:
        yield system


@contextmanager
def system_with(certs_dir: Path, directory: Path, settings: str) -> Iterator[RunningUp]:
    """Run agent, Dopplers and traffic controller with more settings."""
    config = directory / "config.toml"
    config.write_text(SILENT + settings)
    shutil.copytree(certs_dir, directory / "data" / "certs")
    rooms = "metron,doppler,traffic_controller"
    with up(directory / "data", "--config", str(config), "--only", rooms) as system:
        yield system


def test_a_flood_of_datagrams_is_counted_to_the_last_and_harms_nobody_else(running: RunningUp) -> None:
    before, pid = account(running), running.pid("metron")
    memory = 0.0
    with tail(running, "numbered") as reader:
        with load(running, "numbered", per_second=1_000) as sending, flood(running, seconds=4) as flooding:
            while flooding.poll() is None:
                memory = max(memory, rss_mib(pid))
                time.sleep(0.05)
            sent = json.loads(flooding.communicate()[0])
            assert sending.finish() == 0, sending.emit.errors
        lines = sending.lines()
        assert eventually(lambda: len(reader.messages("numbered")) >= len(lines))
        assert Counter(reader.messages("numbered")) == Counter(lines)

    total = sum(sent.values()) + len(lines)
    assert eventually(lambda: account(running)["received"] - before["received"] >= total)
    assert eventually(lambda: not account(running)["held"] and not account(running)["in_flight"])
    books, counted = account(running), metrics(running)
    for door in ("dropsonde", "statsd"):
        seen = [counted[f'metron_udp_{what}_total{{door="{door}"}}'] for what in ("datagrams", "overflowed")]
        assert sum(seen) == sent[door] > 10_000
    assert books["received"] - before["received"] == total
    assert books["received"] == books["delivered"] + sum(books["dropped"].values())
    assert books["dropped"]["malformed"] > 1_000
    assert books["dropped"]["overflow"] == books["dropped"]["too_large"] == 0
    assert memory < MOST_MIB
    ledger = run_command(running.data_dir, "ledger")
    assert ledger.returncode == 0, ledger.stdout


def test_statsd_and_dropsonde_are_sent_from_a_shell(running: RunningUp, tmp_path: Path) -> None:
    log = tmp_path / "dropsonde"
    log.write_bytes(dropsonde_log(b"from a shell"))
    with firehose(running, "shell") as reader:
        to_udp(running, "statsd", "printf 'shop.orders:3|c|#region:eu\\n'")
        to_udp(running, "dropsonde", f"cat {log}")

        assert eventually(lambda: reader.messages("flood") and names_of(reader, "shop") == {"orders"}), reader.output
    assert reader.messages("flood") == ["from a shell"]
    assert next(each for each in reader.records if each["source_id"] == "shop")["tags"]["region"] == "eu"


def to_udp(system: RunningUp, door: str, command: str) -> None:
    """Have a shell send the output of a command as a datagram."""
    host, _, port = system.endpoints[f"metron.{door}"].rpartition(":")
    sender = f"| nc -u -w1 {host} {port}" if shutil.which("nc") else f"> /dev/udp/{host}/{port}"
    subprocess.run(["bash", "-c", f"{command} {sender}"], check=True, timeout=PATIENCE_S)


@pytest.mark.parametrize("handshake", [False, True], ids=["accepts TCP", "accepts TLS"])
def test_dopplers_that_never_answer_hold_nothing_up(running: RunningUp, handshake: bool) -> None:
    good = running.endpoints[dopplers(running)[0]]
    source = f"beside-{handshake}"
    lines = [f"line {number}" for number in range(2_000)]
    with (
        ExitStack() as mutes,
        firehose(running, source) as reader,
        agent(running, [*(mutes.enter_context(mute(running, handshake)) for _ in range(3)), good]) as beside,
    ):
        words = ("emit", "--source", source, "--address", beside.endpoints["listen"], "-")
        emitted = run_command(running.data_dir, *words, stdin="".join(f"{line}\n" for line in lines).encode())
        assert emitted.returncode == 0, emitted.stderr

        assert eventually(lambda: len(reader.messages(source)) >= len(lines), within_s=5)
        assert Counter(reader.messages(source)) == Counter(lines)
        beside.process.terminate()
        assert beside.process.wait(PATIENCE_S) == 0


def test_what_came_by_udp_before_the_signal_is_delivered_before_the_end(running: RunningUp) -> None:
    names = {f"n{number}" for number in range(2_000)}
    with firehose(running, "last") as reader, agent(running, [running.endpoints[dopplers(running)[0]]]) as ending:
        host, _, port = ending.endpoints["statsd"].rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for name in names:
                sender.sendto(f"last.{name}:1|g".encode(), (host, int(port)))
        ending.process.terminate()

        assert ending.process.wait(PATIENCE_S) == 0
        assert eventually(lambda: names_of(reader, "last") == names, within_s=5)


def test_targets_that_hang_lie_or_never_end_harm_no_other(certs_dir: Path, tmp_path: Path) -> None:
    with targets() as port:
        settings = "".join(
            f'[[metron.prometheus.targets]]\nport = {port}\npath = "/{path}"\nsource_id = "{path}"\n'
            for path in ("good", *Targets.WRONG)
        )
        settings += "[metron.prometheus]\ndefault_interval_s = 0.3\ntimeout_s = 1.0\n"
        with system_with(certs_dir, tmp_path, settings) as system, firehose(system, "good") as reader:
            failures = {f'metron_failed_scrapes_total{{scrape_target_source_id="{path}"}}' for path in Targets.WRONG}
            assert eventually(lambda: all(metrics(system)[failure] >= 2 for failure in failures))
            before = len(reader.records)
            assert eventually(lambda: len(reader.records) >= before + 5)

            assert metrics(system)['metron_failed_scrapes_total{scrape_target_source_id="good"}'] == 0
            assert rss_mib(system.pid("metron")) < MOST_MIB
            assert account(system)["received"] == metrics(system)["metron_samples_read_total"]
    assert names_of(reader, "good") == {"fine"}


@contextmanager
def tail(system: RunningUp, source: str) -> Iterator[Command]:
    """Read one source for the time of the block, which begins when every Doppler keeps its envelopes."""
    with running_command(system, "firehose", "--app", source, "--json") as reader:
        selected = "doppler_selected_sources"
        assert eventually(lambda: all(metrics(system, name)[selected] for name in dopplers(system))), reader.errors
        yield reader


def account(system: RunningUp) -> dict[str, int]:
    """The books of the agent now."""
    return accounts(system, "metron", "agent")[0]


def metrics(system: RunningUp, component: str = "metron") -> dict[str, float]:
    """Every metric of a component now, by its name with its labels."""
    files = TlsFiles.named(system.data_dir / "certs", "client")
    context = client_context(files.ca, files.cert, files.key)
    url = f"https://{system.endpoints[f'{component}.admin']}/metrics"
    lines = httpx.get(url, verify=context, trust_env=False).raise_for_status().text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name[:1] != "#"}


def rss_mib(pid: int) -> float:
    """The memory that a process has now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def names_of(reader: Command, source: str) -> set[str]:
    """The names of the gauges of a source that have come so far."""
    return {each["name"] for each in reader.records if (each["source_id"], each["type"]) == (source, "gauge")}


@contextmanager
def flood(system: RunningUp, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """Send to both UDP doors as fast as can be."""
    doors = [f"{door}={system.endpoints[f'metron.{door}']}" for door in ("dropsonde", "statsd")]
    command = [sys.executable, "-m", "tests.end_to_end.flooder", str(seconds), *doors]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


class Agent(NamedTuple):
    """An agent beside those of a system."""

    process: subprocess.Popen[bytes]
    endpoints: dict[str, str]


@contextmanager
def agent(system: RunningUp, doppler_addresses: list[str]) -> Iterator[Agent]:
    """Run an agent that knows other Dopplers; the block begins when it accepts work."""
    files = TlsFiles.named(system.data_dir / "certs", "metron")
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "metron", f"--ready-fd={writing}", "--name=beside"]
    command += [f"--tls-ca={files.ca}", f"--tls-cert={files.cert}", f"--tls-key={files.key}"]
    command += [
        "--listen=127.0.0.1:0",
        "--admin-listen=127.0.0.1:0",
        f"--doppler-addresses={','.join(doppler_addresses)}",
    ]
    command += ["--statsd.enabled", f"--doppler-addresses={','.join(doppler_addresses)}"]
    with subprocess.Popen(command, pass_fds=[writing]) as process:
        os.close(writing)
        try:
            with open(reading, encoding="utf-8") as pipe:
                yield Agent(process, json.loads(pipe.readline())["endpoints"])
        finally:
            process.kill()


@contextmanager
def mute(system: RunningUp, handshake: bool) -> Iterator[str]:
    """Accept every connection, shake hands if asked to, and never say a word; gives the address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = TlsFiles.named(system.data_dir / "certs", "doppler")
    context.load_cert_chain(files.cert, files.key)
    context.set_alpn_protocols(["h2"])
    with ExitStack() as held, socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):  # the listening socket is shut down in the end
                while True:
                    connection, _ = listening.accept()
                    held.enter_context(connection)
                    if handshake:
                        with suppress(OSError):
                            held.enter_context(context.wrap_socket(connection, server_side=True))

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)


class Targets(BaseHTTPRequestHandler):
    """A good target, and the wrong ones, each at a path of its own."""

    WRONG = ("hangs", "trickles", "never-ends", "a-gigabyte", "promises-more", "is-packed", "is-no-exposition")
    SAMPLE = b"fine 1\n"
    protocol_version = "HTTP/1.1"
    ended = threading.Event()

    def do_GET(self) -> None:
        with suppress(OSError):  # the agent has hung up
            getattr(self, f"_{self.path[1:].replace('-', '_')}")()
        self.close_connection = True

    def _good(self) -> None:
        self._begin(len(self.SAMPLE))
        self.wfile.write(self.SAMPLE)

    def _hangs(self) -> None:
        self.ended.wait()

    def _trickles(self) -> None:
        self._begin(1_000_000)
        while not self.ended.wait(0.05):
            self.wfile.write(b"#")

    def _never_ends(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            self.wfile.write(b"%x\r\n%b\r\n" % (7_000, self.SAMPLE * 1_000))

    def _a_gigabyte(self) -> None:
        self._begin(1 << 30)
        for _ in range(1 << 10):
            self.wfile.write(b"#" * (1 << 20))

    def _promises_more(self) -> None:
        self._begin(2 * len(self.SAMPLE))
        self.wfile.write(self.SAMPLE)

    def _is_packed(self) -> None:
        self._begin(len(self.SAMPLE), "Content-Encoding: gzip")
        self.wfile.write(self.SAMPLE)

    def _is_no_exposition(self) -> None:
        self._begin(1_000_000)
        self.wfile.write(os.urandom(1_000_000))

    def _begin(self, length: int, *headers: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        for header in headers:
            self.send_header(*header.split(": "))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def targets() -> Iterator[int]:
    """Serve all targets; gives their port."""
    Targets.ended.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Targets) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            Targets.ended.set()
            server.shutdown()
            thread.join(PATIENCE_S)
