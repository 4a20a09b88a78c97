"""OTLP to a collector over gRPC and over HTTP, and what its refusals mean."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Log, Timer
from nozzles.otlp import kind
from nozzles.otlp.over_grpc import retry_after_s
from nozzles.sdk import Batch, SinkDenied, SinkRefused, SinkUnavailable
from plumbing.tls import TlsFiles, grpc_server_credentials
from tests.fakes.http_receiver import HttpReceiver, Posted, Said
from tests.fakes.otlp_collector import OtlpCollector

LOG = Envelope(source_id="a", log=Log(payload=b"hello"))
COUNTER = Envelope(source_id="a", counter=Counter(name="n", total=1))
SPAN = Envelope(timer=Timer(), tags={"trace_id": "01" * 16, "span_id": "02" * 8})
RETRY_IN_7_S = (
    b"\x1a" + frame(frame(b"type.googleapis.com/google.rpc.RetryInfo") + b"\x12" + frame(frame(b"\x08\x07"))[1:])[1:]
)


def batch_of(*envelopes: Envelope) -> Batch:
    return Batch(EnvelopeBatch(batch=envelopes).SerializeToString(), len(envelopes))


def settings(address: str, **more: Any) -> Any:
    return kind.Config(**{"grpc": {"address": address, "plaintext": True}, **more})


@pytest.fixture
def collector() -> Iterator[tuple[OtlpCollector, str]]:
    fake = OtlpCollector()
    with fake.serving() as address:
        yield fake, address


async def test_each_envelope_goes_with_its_signal(collector: tuple[OtlpCollector, str]) -> None:
    fake, address = collector
    async with kind.open(settings(address)) as write:
        await write(batch_of(LOG, SPAN, COUNTER, LOG))

    assert (len(fake.logs), len(fake.metrics), len(fake.spans), fake.requests) == (2, 1, 1, 3)


async def test_what_no_signal_is_for_is_skipped(collector: tuple[OtlpCollector, str]) -> None:
    fake, address = collector
    batch = batch_of(LOG, Envelope(timer=Timer()), COUNTER)
    async with kind.open(settings(address, metrics=False)) as write:
        await write(batch)

    assert (len(fake.logs), fake.requests, batch.skipped) == (1, 1, 2)


async def test_requests_are_bounded(collector: tuple[OtlpCollector, str]) -> None:
    fake, address = collector
    async with kind.open(settings(address, items_per_request=2)) as write:
        await write(batch_of(*[LOG] * 5))
    assert (len(fake.logs), fake.requests) == (5, 3)


async def test_what_is_rejected_is_refused(collector: tuple[OtlpCollector, str]) -> None:
    fake, address = collector
    fake.rejects = 1
    batch = batch_of(LOG, LOG, COUNTER, COUNTER)
    async with kind.open(settings(address)) as write:
        await write(batch)

    assert batch.refused == {"rejected": 2}


@pytest.mark.parametrize(
    "code", ["UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "DATA_LOSS"]
)
async def test_what_may_be_retried_is_left(collector: tuple[OtlpCollector, str], code: str) -> None:
    fake, address = collector
    async with kind.open(settings(address)) as write:
        await write(batch_of(LOG))
        fake.failures = [(grpc.StatusCode[code], b"")]
        with pytest.raises(SinkUnavailable, match=code) as caught:
            await write(batch_of(LOG, COUNTER))
        assert caught.value.left is not None
        await write(caught.value.left)

    assert (len(fake.logs), len(fake.metrics)) == (2, 1)


async def test_what_may_not_be_retried_is_refused(collector: tuple[OtlpCollector, str]) -> None:
    fake, address = collector
    fake.failures = [(grpc.StatusCode.INVALID_ARGUMENT, b"")]
    async with kind.open(settings(address)) as write:
        with pytest.raises(SinkRefused, match="INVALID_ARGUMENT") as caught:
            await write(batch_of(LOG))

    assert caught.value.reason == "refused"


@pytest.mark.parametrize("code", ["UNAUTHENTICATED", "PERMISSION_DENIED"])
async def test_one_that_does_not_let_us_in_is_no_loss(collector: tuple[OtlpCollector, str], code: str) -> None:
    fake, address = collector
    fake.failures = [(grpc.StatusCode[code], b"")]
    batch = batch_of(LOG, COUNTER)
    async with kind.open(settings(address)) as write:
        with pytest.raises(SinkDenied, match=f"{code}.*mend tls_cert") as caught:
            await write(batch)
        assert caught.value.left is not None
        await write(caught.value.left)

    assert (len(fake.logs), len(fake.metrics), batch.refused) == (1, 1, {})


async def test_an_exhausted_collector_says_when_to_come_again(collector: tuple[OtlpCollector, str]) -> None:
    fake, address = collector
    fake.failures = [(grpc.StatusCode.RESOURCE_EXHAUSTED, RETRY_IN_7_S)]
    async with kind.open(settings(address)) as write:
        with pytest.raises(SinkUnavailable) as caught:
            await write(batch_of(LOG))

    assert caught.value.retry_after_s == 7


async def test_a_request_that_is_too_large_is_sent_in_halves(collector: tuple[OtlpCollector, str]) -> None:
    fake, address = collector
    fake.failures = [(grpc.StatusCode.RESOURCE_EXHAUSTED, b"")]
    async with kind.open(settings(address)) as write:
        await write(batch_of(LOG, LOG))

    assert (len(fake.logs), fake.requests) == (2, 3)


@pytest.mark.parametrize("status", [b"", b"\xff", b"\x1a\x00", RETRY_IN_7_S[:-3]])
def test_a_status_that_says_nothing_is_no_delay(status: bytes) -> None:
    assert retry_after_s(status) is None


async def test_a_collector_that_is_away_is_unavailable() -> None:
    async with kind.open(settings("127.0.0.1:1")) as write:
        with pytest.raises(SinkUnavailable, match=r"127\.0\.0\.1:1"):
            await write(batch_of(LOG))


async def test_over_mtls_both_sides_show_who_they_are(certs_dir: Path) -> None:
    fake, own = OtlpCollector(), TlsFiles.named(certs_dir, "nozzle")
    tls = {"server_name": "doppler", "tls_ca": own.ca, "tls_cert": own.cert, "tls_key": own.key}
    with fake.serving(grpc_server_credentials(TlsFiles.named(certs_dir, "doppler"))) as address:
        async with kind.open(settings(address, grpc={"address": address, **tls})) as write:
            await write(batch_of(LOG))

    assert len(fake.logs) == 1


async def test_over_tls_a_collector_must_be_signed_by_the_ca_that_is_given(
    certs_dir: Path, other_certs_dir: Path
) -> None:
    fake, leaf = OtlpCollector(), TlsFiles.named(certs_dir, "doppler")
    credentials = grpc.ssl_server_credentials([(leaf.key.read_bytes(), leaf.cert.read_bytes())])
    with fake.serving(credentials) as address:
        for directory, taken in ((certs_dir, True), (other_certs_dir, False)):
            known_by = {"server_name": "doppler", "tls_ca": directory / "ca.crt"}
            async with kind.open(settings(address, grpc={"address": address, **known_by})) as write:
                if taken:
                    await write(batch_of(LOG))
                else:
                    with pytest.raises(SinkUnavailable):
                        await write(batch_of(LOG))

    assert len(fake.logs) == 1


class HttpCollector:
    """The same over HTTP."""

    def __init__(self) -> None:
        self.fake = OtlpCollector()
        self.statuses: list[int] = []

    def answer(self, posted: Posted) -> Said:
        if self.statuses:
            return Said(self.statuses.pop(0), b"no")
        request, take = {
            "/v1/logs": (ExportLogsServiceRequest, self.fake.take_logs),
            "/v1/metrics": (ExportMetricsServiceRequest, self.fake.take_metrics),
            "/v1/traces": (ExportTraceServiceRequest, self.fake.take_spans),
        }[posted.path]
        assert posted.headers["content-type"] == "application/x-protobuf"
        assert posted.headers["content-encoding"] == "gzip"
        answer = take(request.FromString(gzip.decompress(posted.body)))
        return Said(200, answer.SerializeToString(), {"Content-Type": "application/x-protobuf"})


@pytest.fixture
def http_collector() -> Iterator[tuple[HttpCollector, Any]]:
    collector = HttpCollector()
    server = HttpReceiver(collector.answer)
    yield collector, kind.Config(http={"url": server.url})
    server.close()


async def test_over_http_each_signal_has_its_path(http_collector: tuple[HttpCollector, Any]) -> None:
    collector, config = http_collector
    async with kind.open(config) as write:
        await write(batch_of(LOG, SPAN, COUNTER))

    assert (len(collector.fake.logs), len(collector.fake.metrics), len(collector.fake.spans)) == (1, 1, 1)


async def test_over_http_what_is_rejected_is_refused(http_collector: tuple[HttpCollector, Any]) -> None:
    collector, config = http_collector
    collector.fake.rejects = 1
    batch = batch_of(LOG, LOG)
    async with kind.open(config) as write:
        await write(batch)

    assert batch.refused == {"rejected": 1}


@pytest.mark.parametrize(("status", "error"), [(503, SinkUnavailable), (400, SinkRefused)])
async def test_over_http_a_status_says_whether_to_try_again(
    http_collector: tuple[HttpCollector, Any], status: int, error: type[Exception]
) -> None:
    collector, config = http_collector
    collector.statuses = [status]
    async with kind.open(config) as write:
        with pytest.raises(error, match=str(status)):
            await write(batch_of(LOG))


async def test_an_answer_that_is_none_is_no_success(http_collector: tuple[HttpCollector, Any]) -> None:
    collector, config = http_collector
    collector.statuses = [200]
    async with kind.open(config) as write:
        with pytest.raises(SinkUnavailable, match="not an answer"):
            await write(batch_of(LOG))
