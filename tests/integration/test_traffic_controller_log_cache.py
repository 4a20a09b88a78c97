"""Recent logs and container metrics at a traffic controller, with a log cache and without one (loggregator.md 3.1)."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.tls import TlsFiles
from tests.fakes.log_cache import FakeLogCache, batch, open_log_cache
from tests.running import get
from tests.running_controller import APP, Controller, open_controller


@pytest.fixture
async def log_cache(certs_dir: Path) -> AsyncIterator[FakeLogCache]:
    async with open_log_cache(TlsFiles.named(certs_dir, "log-cache")) as fake:
        yield fake


def log_line(text: bytes, timestamp: int) -> v2.Envelope:
    return v2.Envelope(source_id=APP, timestamp=timestamp, log={"payload": text})


def container(instance: int, timestamp: int, cpu: float) -> v2.Envelope:
    names = ("memory", "disk", "memory_quota", "disk_quota")
    metrics = {name: {"unit": "bytes", "value": 1} for name in names} | {"cpu": {"unit": "percentage", "value": cpu}}
    return v2.Envelope(source_id=APP, instance_id=str(instance), timestamp=timestamp, gauge={"metrics": metrics})


async def test_without_a_log_cache_old_clients_get_what_the_original_says(controller: Controller) -> None:
    recent = await controller.ask(f"/apps/{APP}/recentlogs", "Origin: https://page", token=controller.token())
    metrics = await controller.ask(f"/apps/{APP}/containermetrics", "Origin: https://page", token=controller.token())

    [line] = recent.parts
    assert line.logMessage.message == b"recent log endpoint requires a log cache. please talk to you operator"
    assert (line.logMessage.source_type, line.logMessage.message_type) == ("Loggregator", 2)
    assert recent.headers["access-control-allow-origin"] == "https://page"
    assert recent.headers["access-control-allow-credentials"] == "true"
    assert (metrics.status, metrics.parts) == (200, [])
    assert "access-control-allow-origin" not in metrics.headers


async def test_recent_logs_come_from_the_log_cache_newest_first(
    certs_dir: Path, tmp_path: Path, log_cache: FakeLogCache
) -> None:
    log_cache.answer = lambda _: (200, batch(log_line(b"--two\r\n", 2), log_line(b"one", 1)))

    async with open_controller(certs_dir, tmp_path, log_cache_url=log_cache.address) as controller:
        token = controller.token(APP)
        replies = [await controller.ask(f"/apps/{APP}/recentlogs{query}", token=token) for query in ("", "?limit=2")]

    assert [[part.logMessage.message for part in reply.parts] for reply in replies] == [[b"--two\r\n", b"one"]] * 2
    assert [asked.query["limit"] for asked in log_cache.asked] == [["1000"], ["2"]]
    assert {asked.query["envelope_types"][0] for asked in log_cache.asked} == {"LOG"}
    assert {asked.headers["authorization"] for asked in log_cache.asked} == {f"bearer {token}"}
    assert {asked.source_id for asked in log_cache.asked} == {APP}


async def test_container_metrics_are_the_newest_of_each_instance(
    certs_dir: Path, tmp_path: Path, log_cache: FakeLogCache
) -> None:
    custom = v2.Envelope(source_id=APP, gauge={"metrics": {"custom": {"value": 1}}})
    log_cache.answer = lambda _: (200, batch(container(1, 9, 0.5), custom, container(0, 8, 0.25), container(1, 7, 0.1)))

    async with open_controller(certs_dir, tmp_path, log_cache_url=log_cache.address) as controller:
        parts = (await controller.ask(f"/apps/{APP}/containermetrics", token=controller.token(APP))).parts

    found = [(part.containerMetric.instanceIndex, part.containerMetric.cpuPercentage) for part in parts]
    assert found == [(0, 0.25), (1, 0.5)]
    assert log_cache.asked[0].query["envelope_types"] == ["GAUGE"]
    assert time.time_ns() - int(log_cache.asked[0].query["start_time"][0]) < 120 * 10**9


async def test_a_log_cache_that_fails_is_an_internal_error_in_words(
    certs_dir: Path, tmp_path: Path, log_cache: FakeLogCache
) -> None:
    log_cache.answer = lambda _: (503, b"secret")

    async with open_controller(certs_dir, tmp_path, log_cache_url=log_cache.address) as controller:
        reply = await controller.ask(f"/apps/{APP}/recentlogs", "Origin: https://page", token=controller.token())

    assert (reply.status, reply.body) == (500, b"the log cache answered 503")
    assert reply.headers["access-control-allow-origin"] == "https://page"


async def test_what_is_asked_of_others_is_counted(certs_dir: Path, tmp_path: Path, log_cache: FakeLogCache) -> None:
    log_cache.answer = lambda _: (503, b"")
    file = tmp_path / "access.log"
    async with open_controller(
        certs_dir, tmp_path, log_cache_url=log_cache.address, security_event_log=file
    ) as controller:
        await controller.ask(f"/apps/{APP}/recentlogs", token=controller.token())
        metrics = await get(controller.ports, certs_dir, "/metrics")

    assert "traffic_controller_log_cache_failures_total 1.0\n" in metrics
    assert "traffic_controller_access_log_failures_total 0.0\n" in metrics
    assert 'traffic_controller_auth_questions_total{authority="local",outcome="asked"} 1.0\n' in metrics
