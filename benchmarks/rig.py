"""A system under test: components, a load generator and consumers, all real processes, speaking mTLS on free ports."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.processes import BenchmarkError, Component, Process, Use, Worker, machine_busy_s
from benchmarks.workload import AGENT_TAGS, BATCH_SIZE, BATCHES, SOURCES, source_ids
from plumbing.certs import make_certs
from plumbing.tls import TlsFiles, client_context
from plumbing.tokens import TokenStore

SUBSCRIBED_S = 60.0
READERS = ("v1 reader", "v2 reader", "sse reader", "drain reader")
STORES = ("log cache", "nozzle", "event store")
_POLL_S = 0.05
_SETTLED_S = 0.2
_WITHOUT_DOOR = ("syslog_adapter", "benchmarks.null_nozzle")
_NOBODY = "127.0.0.1:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which processes make up a path, and what is sent."""

    dopplers: int = 1
    agent: bool = False
    door: str = ""
    """Which UDP door of the agent is sent to, one envelope in each datagram; gRPC if none is named."""
    firehose: bool = False
    app_streams: int = 0
    firehoses: int = 0
    """Further firehoses, each with a subscription of its own; they are read, and not timed."""
    v2_reader: bool = False
    proxied: bool = False
    """The v2 reader reads from a reverse log proxy."""
    sse_reader: bool = False
    log_cache: bool = False
    """A log cache at the end: fed by the Dopplers, or by `Send` where there are none."""
    memory_limit_mib: int = 1024
    """Of the log cache."""
    nozzle: bool = False
    """A nozzle without a sink at the end, fed by the Dopplers."""
    event_store: bool = False
    """An event store at the end, likewise."""
    drains: int = 0
    """Syslog drains at the end, of a source each; a single one is for all sources."""
    dead_drains: int = 0
    """Further drains, of the first sources: every other one refuses connections, the rest take them and never read."""
    sources: int = SOURCES
    logs_only: bool = False
    """Nothing but logs is sent."""
    batches: int = BATCHES
    """How many different ones are sent; a log cache packs equal ones better than any true load."""
    batch_size: int = BATCH_SIZE
    stamped: bool = False
    """Timestamps are times of sending."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where certificates, tokens and logs are, and how the load generator asks to be served."""

    directory: Path
    acks: bool = False

    @property
    def certs(self) -> Path:
        return self.directory / "certs"

    @property
    def tokens(self) -> Path:
        return self.directory / "tokens"

    def prepare(self) -> None:
        """Make certificates and a token."""
        self.certs.mkdir()
        self.tokens.mkdir()
        make_certs(self.certs, now=datetime.now(UTC))
        TokenStore(self.tokens).ensure_admin_token(time.time())


class Snapshot(NamedTuple):
    """One moment of a run."""

    at: float
    sent: int
    received: int
    uses: Mapping[str, Use]
    machine_busy_s: float


@dataclass(slots=True)
class Rig:
    """The processes of one path while they run."""

    bench: Bench
    layout: Layout
    components: dict[str, Component] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)

    @property
    def sender(self) -> Worker:
        return self.workers["sender"]

    @property
    def reader(self) -> Worker | None:
        """The consumer that is counted and timed; a path that ends in a Doppler has none."""
        return next((self.workers[name] for name in READERS if name in self.workers), None)

    def send(self, rate: float, seconds: float) -> int:
        """Begin to send and say how many envelopes it will be."""
        total: int = self.sender.ask("start", rate=rate, seconds=seconds)["total"]
        return total

    def wait_until_sent(self, deadline: float) -> bool:
        """Wait until the load generator has sent all; say whether it managed by `deadline`."""
        while self.sender.ask("progress")["running"]:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def received(self) -> int:
        """Count the envelopes that have come out at the far end."""
        if self.reader is not None:
            count: int = self.reader.ask("progress")["received"][0]
            return count
        stores = [name for name in STORES if name in self.components]
        end, kinds = (stores, ("store", "sink")) if stores else (self._dopplers(), ("ingress",))
        accounts = [account for name in end for account in self._accounts(name, *kinds)]
        return sum(account["delivered" if account["kind"] == "sink" else "received"] for account in accounts)

    def wait_until_received(self, total: int, deadline: float) -> int:
        """Wait for `total` envelopes at the far end, and say how many there are by `deadline`."""
        while (received := self.received()) < total and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return received

    def snapshot(self) -> Snapshot:
        """Look at everything at once."""
        processes: dict[str, Process] = {**self.components, **self.workers}
        uses = {name: process.use() for name, process in processes.items()}
        return Snapshot(time.monotonic(), self.sender.ask("progress")["sent"], self.received(), uses, machine_busy_s())

    def dropped(self) -> int:
        """Add up what the books of all components call dropped."""
        accounts = (
            account for name in self.components for account in self._accounts(name, "ingress", "subscription", "hop")
        )
        return sum(sum(account["dropped"].values()) for account in accounts)

    def imbalance(self) -> int:
        """Add up by how much the books of all components fail to balance."""
        return sum(abs(account["balance"]) for name in self.components for account in self._accounts(name))

    def wait_until_idle(self, timeout_s: float) -> None:
        """Wait until nothing is held or on its way in any component, and the consumer has counted what it got."""
        deadline = time.monotonic() + timeout_s
        while self._holds_something() or not self._counted_all():
            if time.monotonic() > deadline:
                raise BenchmarkError(f"envelopes are still held after {timeout_s:g} s")

    def _holds_something(self) -> bool:
        accounts = (account for name in self.components for account in self._accounts(name))
        moving = (account for account in accounts if account["kind"] != "store")
        return any(account["held"] or account["in_flight"] for account in moving)

    def _counted_all(self) -> bool:
        received = self.received()
        time.sleep(_SETTLED_S)
        return self.received() == received

    def _dopplers(self) -> list[str]:
        return [name for name in self.components if name.startswith("doppler")]

    def _accounts(self, name: str, *kinds: str) -> list[dict[str, Any]]:
        accounts = self._book(self.components[name])["accounts"]
        return [account for account in accounts if not kinds or account["kind"] in kinds]

    def _book(self, component: Component) -> dict[str, Any]:
        book: dict[str, Any] = json.loads(self._get(component, "/ledger"))
        return book

    def metric(self, name: str, metric: str) -> float:
        """Read a metric without labels of one component."""
        lines = self._get(self.components[name], "/metrics").decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{metric} "))

    def _get(self, component: Component, path: str) -> bytes:
        files = TlsFiles.named(self.bench.certs, "client")
        host, _, port = component.endpoints["admin"].rpartition(":")
        context = client_context(files.ca, files.cert, files.key)
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise component.failure(f"answered {answer.status} for {path}")
        return body

    def wait_until_subscribed(self) -> None:
        """Wait until every Doppler knows every consumer: what is sent before that is nobody's."""
        layout = self.layout
        wanted = layout.firehose + layout.firehoses + bool(layout.app_streams) + layout.v2_reader + layout.sse_reader
        wanted += layout.log_cache + layout.nozzle + layout.event_store + bool(layout.drains)
        deadline = time.monotonic() + SUBSCRIBED_S
        for name in self._dopplers():
            while (
                len(self._accounts(name, "subscription")) < wanted
                or self.metric(name, "doppler_selected_sources") < layout.app_streams
            ):
                if time.monotonic() > deadline:
                    raise self.components[name].failure("has fewer subscriptions than there are consumers")
                time.sleep(_POLL_S)


@contextmanager
def open_rig(bench: Bench, layout: Layout) -> Iterator[Rig]:
    """Start every process of a path, wait until all are connected, and end them all on leaving."""
    rig = Rig(bench, layout)
    with ExitStack() as closing:
        starting = _Starting(rig, closing)
        silent = ["--self-metrics-interval-s", "0"]  # envelopes are counted
        dopplers = [starting.component(f"doppler-{i}", "doppler", "doppler", silent) for i in range(layout.dopplers)]
        addresses = ",".join(dopplers)
        flags = ["--doppler-addresses", addresses, "--auth.tokens-dir", str(bench.tokens)]
        if layout.firehose or layout.firehoses or layout.app_streams:
            starting.v1_reader(
                starting.component("traffic controller", "traffic_controller", "trafficcontroller", flags)
            )
        if layout.proxied or layout.sse_reader:
            gateway = ["--gateway.enabled", "--gateway.listen", "127.0.0.1:0"] if layout.sse_reader else []
            starting.component("reverse log proxy", "reverse_log_proxy", "reverselogproxy", [*flags, *gateway])
        if layout.log_cache:
            starting.log_cache(addresses)
        if layout.nozzle:
            starting.component("nozzle", "benchmarks.null_nozzle", "nozzle", ["--doppler-addresses", addresses])
        if layout.event_store:
            given = ["--doppler-addresses", addresses, "--auth.tokens-dir", str(bench.tokens)]
            folder = starting.closing.enter_context(TemporaryDirectory(dir=bench.directory))
            starting.component("event store", "event_store", "event-store", [*given, "--data-dir", folder])
        if layout.drains:
            starting.drains(addresses)
        if layout.v2_reader:
            starting.v2_reader(dopplers[0])
        if layout.sse_reader:
            starting.sse_reader()
        rig.wait_until_subscribed()
        if layout.agent:
            tags = ",".join(f"{key}={value}" for key, value in AGENT_TAGS.items())
            flags = ["--doppler-addresses", addresses, "--tags", tags]
            door = [f"--{layout.door}.enabled", f"--{layout.door}.listen", "127.0.0.1:0"] if layout.door else []
            starting.sender(starting.component("metron", "metron", "metron", [*flags, *door]), "metron")
        elif dopplers:
            starting.sender(dopplers[0], "doppler")
        else:
            starting.log_cache_sender()
        yield rig


class _Starting:
    """Starts processes of a rig and sees to it that they are ended."""

    def __init__(self, rig: Rig, closing: ExitStack) -> None:
        self._rig = rig
        self.closing = closing

    def component(self, name: str, module: str, leaf: str, flags: Sequence[str] = ()) -> str:
        """Start a component and return its address, if others connect to it."""
        files = TlsFiles.named(self._rig.bench.certs, leaf)
        common = ["--tls-ca", str(files.ca), "--tls-cert", str(files.cert), "--tls-key", str(files.key)]
        common += ["--admin-listen", "127.0.0.1:0", "--name", name]
        common += ["--listen", "127.0.0.1:0"] * (module not in _WITHOUT_DOOR)
        component = Component(name, module, [*common, *flags], self._log(name))
        self.closing.callback(component.close)
        self._rig.components[name] = component
        return component.endpoints.get("listen", "")

    def worker(self, name: str, module: str, address: str, flags: Sequence[str] = ()) -> None:
        common = ["--address", address, "--certs", str(self._rig.bench.certs)]
        worker = Worker(name, module, [*common, *flags], self._log(name))
        self.closing.callback(worker.close)
        self._rig.workers[name] = worker

    def sender(self, address: str, server_name: str) -> None:
        layout = self._rig.layout
        if layout.door:
            address = self._rig.components["metron"].endpoints[layout.door]
            return self.worker("sender", "benchmarks.datagram_sender", address, ["--door", layout.door])
        flags = ["--server-name", server_name, "--batch-size", str(layout.batch_size)]
        flags += ["--sources", str(layout.sources)] + ["--logs-only"] * layout.logs_only
        flags += ["--bare"] * layout.agent + ["--stamped"] * layout.stamped + ["--acks"] * self._rig.bench.acks
        return self.worker("sender", "benchmarks.sender", address, flags)

    def v2_reader(self, doppler: str) -> None:
        proxy = self._rig.components.get("reverse log proxy")
        address, server_name = (proxy.endpoints["listen"], "reverselogproxy") if proxy else (doppler, "doppler")
        self.worker("v2 reader", "benchmarks.v2_reader", address, ["--server-name", server_name])

    def log_cache(self, dopplers: str) -> None:
        layout, tokens = self._rig.layout, self._rig.bench.tokens
        flags = ["--auth.tokens-dir", str(tokens), "--rest.listen", "127.0.0.1:0"]
        flags += ["--memory-limit-bytes", str(layout.memory_limit_mib << 20), "--doppler-addresses", dopplers]
        self.component("log cache", "log_cache", "log-cache", flags)
        rest = self._rig.components["log cache"].endpoints["rest"]
        self.worker("client", "benchmarks.log_cache_reader", rest, ["--token", str(tokens / "admin")])

    def drains(self, dopplers: str) -> None:
        layout, bindings = self._rig.layout, self._rig.bench.directory / "bindings.json"
        self.worker("drain reader", "benchmarks.drain_reader", "127.0.0.1:0")
        doors = self._rig.workers["drain reader"].ask("open")
        sources = [""] if layout.drains == 1 else source_ids(layout.sources)[: layout.drains]
        bound = [(source, doors["reading"]) for source in sources]
        dead = (_NOBODY, doors["deaf"])
        bound += [(source, dead[place % 2]) for place, source in enumerate(sources[: layout.dead_drains])]
        bindings.write_text(json.dumps([{"source_id": source, "url": f"syslog://{at}"} for source, at in bound]))
        flags = ["--doppler-addresses", dopplers, "--bindings-file", str(bindings)]
        self.component("syslog adapter", "syslog_adapter", "syslog-adapter", flags)

    def log_cache_sender(self) -> None:
        layout, address = self._rig.layout, self._rig.components["log cache"].endpoints["listen"]
        flags = ["--batch-size", str(layout.batch_size), "--batches", str(layout.batches)]
        self.worker("sender", "benchmarks.log_cache_sender", address, [*flags, *["--stamped"] * layout.stamped])

    def sse_reader(self) -> None:
        gateway = self._rig.components["reverse log proxy"].endpoints["gateway"]
        self.worker("sse reader", "benchmarks.sse_reader", gateway, ["--token", str(self._rig.bench.tokens / "admin")])

    def v1_reader(self, address: str) -> None:
        layout = self._rig.layout
        paths = ["/firehose/benchmark"] * layout.firehose
        paths += [f"/firehose/benchmark-{number}" for number in range(layout.firehoses)]
        apps = [*source_ids(), *(f"idle-{number}" for number in range(layout.app_streams))]
        paths += [f"/apps/{app}/stream" for app in apps[: layout.app_streams]]
        flags = ["--token", str(self._rig.bench.tokens / "admin"), *["--stamped"] * layout.stamped, *paths]
        self.worker("v1 reader", "benchmarks.v1_reader", address, flags)

    def _log(self, name: str) -> Path:
        return self._rig.bench.directory / f"{name.replace(' ', '_')}.log"
