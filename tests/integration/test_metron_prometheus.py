"""An agent that scrapes real HTTP and HTTPS servers, good and bad ones, into a real doppler."""

from __future__ import annotations

import itertools
import resource
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from plumbing.tls import TlsFiles, server_context
from tests.running import accounts, dial, eventually, get, running

TEXT = b"""\
# HELP http_requests How many.
# TYPE http_requests counter
http_requests{method="get"} 5
# TYPE temperature gauge
temperature{unit="C",room="attic"} 21.5
# TYPE latency histogram
latency_bucket{le="0.5"} 2
latency_bucket{le="+Inf"} 3
latency_sum 4.5
latency_count 3
"""
Answer = Callable[[BaseHTTPRequestHandler], None]


def page(body: bytes = TEXT, *, status: int = 200, **headers: str) -> Answer:
    """Answer every request with this."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return answer


@contextmanager
def target(answer: Answer, tls: TlsFiles | None = None) -> Iterator[int]:
    """Serve on a free port of this machine; yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer(self)
            except OSError:
                self.close_connection = True  # the agent has had enough

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a handshake that failed

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        context = server_context(tls, require_client_cert=True)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@asynccontextmanager
async def scraping(certs: Path, doppler: str = "127.0.0.1:1", **prometheus: Any) -> AsyncIterator[Ports]:
    settings = {"default_interval_s": 0.1, "look_again_s": 0.05, "timeout_s": 2.0, **prometheus}
    async with running("metron", certs, doppler_addresses=[doppler], drain_grace_s=0.5, prometheus=settings) as ports:
        yield ports


async def metric(ports: Ports, certs: Path, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(await get(ports, certs, "/metrics"))
    samples = (sample for family in families for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == name and sample.labels == labels)


async def wait_for(ports: Ports, certs: Path, name: str, at_least: float, **labels: str) -> None:
    async def enough() -> bool:
        return await metric(ports, certs, name, **labels) >= at_least

    await eventually(enough)


async def failures(ports: Ports, certs: Path, at_least: int = 1, source_id: str = "prometheus") -> None:
    await wait_for(ports, certs, "metron_failed_scrapes_total", at_least, scrape_target_source_id=source_id)


def read(address: str, certs: Path, count: int) -> list[v2.Envelope]:
    """Read the firehose of a doppler until `count` envelopes have come."""
    kinds = [v2.Selector(counter=v2.CounterSelector()), v2.Selector(gauge=v2.GaugeSelector())]
    with dial(address, certs, "doppler") as channel:
        call = channel.unary_stream(
            "/loggregator.v2.Egress/BatchedReceiver",
            request_serializer=v2.EgressBatchRequest.SerializeToString,
            response_deserializer=v2.EnvelopeBatch.FromString,
        )(v2.EgressBatchRequest(selectors=kinds, use_preferred_tags=True), timeout=20)
        envelopes = (envelope for batch in call for envelope in batch.batch)
        return list(itertools.islice(envelopes, count))


async def test_samples_of_http_and_mtls_targets_reach_a_reader(certs_dir: Path, tmp_path: Path) -> None:
    files = TlsFiles.named(certs_dir, "client")
    with target(page()) as plain, target(page(), TlsFiles.named(certs_dir, "doppler")) as secure:
        (tmp_path / "plain.yml").write_text(f"port: {plain}\nsource_id: plain\nlabels: {{zone: 1}}\n")
        (tmp_path / "secure.yml").write_text(
            f"port: {secure}\nsource_id: secure\nscheme: https\nserver_name: doppler\nca_path: {files.ca}\n"
            f"client_cert_path: {files.cert}\nclient_key_path: {files.key}\n"
        )
        async with running("doppler", certs_dir) as doppler:
            async with scraping(certs_dir, doppler["listen"], config_globs=[str(tmp_path / "*.yml")]) as agent:
                envelopes = await trio.to_thread.run_sync(read, doppler["listen"], certs_dir, 60)
                assert await metric(agent, certs_dir, "metron_scrape_targets") == 2
                assert all(account["balance"] == 0 for account in (await accounts(agent, certs_dir)).values())

    by_source = {name: [each for each in envelopes if each.source_id == name] for name in ("plain", "secure")}
    assert all(by_source.values())
    counters = {(each.counter.name, each.counter.total) for each in by_source["secure"] if each.HasField("counter")}
    assert {("http_requests", 5), ("latency_bucket", 2), ("latency_bucket", 3), ("latency_count", 3)} == counters
    gauges = [each for each in by_source["plain"] if "temperature" in each.gauge.metrics]
    assert gauges[0].gauge.metrics["temperature"] == v2.GaugeValue(unit="C", value=21.5)
    assert dict(gauges[0].tags) == {"room": "attic", "zone": "1"}


@pytest.mark.parametrize(
    "wrong",
    [{"server_name": "metron"}, {"ca_path": "other"}, {"client_cert_path": None, "client_key_path": None}],
    ids=["another name", "another authority", "no certificate of ours"],
)
async def test_tls_that_is_not_right_is_a_failed_scrape(
    certs_dir: Path, other_certs_dir: Path, wrong: dict[str, Any]
) -> None:
    ours = TlsFiles.named(certs_dir, "client")
    if wrong.get("ca_path") == "other":
        wrong = {"ca_path": TlsFiles.named(other_certs_dir, "client").ca}
    with target(page(), TlsFiles.named(certs_dir, "doppler")) as port:
        settings = {
            "port": port,
            "scheme": "https",
            "server_name": "doppler",
            "ca_path": ours.ca,
            "client_cert_path": ours.cert,
            "client_key_path": ours.key,
        }
        async with scraping(certs_dir, targets=[settings | wrong]) as agent:
            await failures(agent, certs_dir, 2)

            assert await metric(agent, certs_dir, "metron_samples_read_total") == 0


async def test_certificates_for_all_targets_are_used_for_those_without(certs_dir: Path) -> None:
    ours = TlsFiles.named(certs_dir, "client")
    settings = {"ca_path": ours.ca, "client_cert_path": ours.cert, "client_key_path": ours.key}
    with target(page(), TlsFiles.named(certs_dir, "doppler")) as port:
        targets = [{"port": port, "scheme": "https", "server_name": "doppler"}]
        async with scraping(certs_dir, targets=targets, **settings) as agent:
            await wait_for(agent, certs_dir, "metron_samples_read_total", 6)


async def test_an_https_target_without_a_name_is_refused_and_the_others_go_on(certs_dir: Path) -> None:
    with target(page()) as port:
        targets = [{"port": 1, "scheme": "https", "ca_path": certs_dir / "ca.crt"}, {"port": port}]
        async with scraping(certs_dir, targets=targets) as agent:
            await wait_for(agent, certs_dir, "metron_samples_read_total", 6)

            assert await metric(agent, certs_dir, "metron_source_errors_total", reason="scrape_config") == 1
            assert await metric(agent, certs_dir, "metron_scrape_targets") == 1


async def test_another_component_can_be_scraped(certs_dir: Path) -> None:
    ours = TlsFiles.named(certs_dir, "client")
    async with running("doppler", certs_dir) as doppler:
        settings = {
            "port": int(doppler["admin"].rpartition(":")[2]),
            "scheme": "https",
            "server_name": "doppler",
            "ca_path": ours.ca,
            "client_cert_path": ours.cert,
            "client_key_path": ours.key,
        }
        for headers in ({}, {"Accept": "application/openmetrics-text"}):
            async with scraping(certs_dir, targets=[{**settings, "headers": headers}]) as agent:
                await wait_for(agent, certs_dir, "metron_samples_read_total", 10)


def flood(request: BaseHTTPRequestHandler) -> None:
    """Send 1 GiB of samples."""
    request.send_response(200)
    request.send_header("content-length", str(1 << 30))
    request.end_headers()
    for _ in range(1 << 10):
        request.wfile.write(b"flood 1\n" * (1 << 17))


def drip(request: BaseHTTPRequestHandler) -> None:
    """Send a byte now and then, for ever."""
    request.send_response(200)
    request.end_headers()
    while not threading.Event().wait(0.05):
        request.wfile.write(b"#")


async def test_targets_that_misbehave_cost_bounded_time_and_memory_and_harm_no_other(certs_dir: Path) -> None:
    bad: dict[str, Answer] = {
        "flood": flood,
        "drip": drip,
        "lie": page(content_length="1000"),
        "redirect": page(status=302, location="/elsewhere"),
        "packed": page(content_encoding="gzip"),
        "garbage": page(b"<html></html>\n"),
        "cut": page(TEXT[:-1]),
    }
    async with AsyncExitStack() as stack:
        ports = {name: stack.enter_context(target(answer)) for name, answer in {**bad, "good": page()}.items()}
        targets = [{"port": port, "source_id": name} for name, port in ports.items()]
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with trio.fail_after(30):
            async with scraping(certs_dir, targets=targets, timeout_s=0.5, max_bytes=4 << 20) as agent:
                for name in bad:
                    await failures(agent, certs_dir, 2, name)
                await wait_for(agent, certs_dir, "metron_samples_read_total", 6)

                failed = await metric(agent, certs_dir, "metron_failed_scrapes_total", scrape_target_source_id="good")
                assert failed == 0
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib

    assert grown_kib < 100 << 10
