"""Scraping, as Prometheus would, with the parser of its client library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Gauge, GaugeValue, Log
from nozzles.prometheus import kind
from nozzles.prometheus.service import open_exporter
from nozzles.sdk import Batch
from plumbing.config import parse_listen
from plumbing.tls import TlsFiles, client_context
from tests.running import eventually


def config(**settings: Any) -> Any:
    return kind.Config(**{"listen": "127.0.0.1:0", "plaintext": True, **settings})


def batch_of(*envelopes: Envelope) -> Batch:
    return Batch(EnvelopeBatch(batch=envelopes).SerializeToString(), len(envelopes))


def counter(total: int, **fields: Any) -> Envelope:
    return Envelope(source_id="a", counter=Counter(name="http.hits", total=total), **fields)


async def scraped(address: str, **headers: str) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"http://{address}/metrics", headers=headers)
    assert response.status_code == 200
    return parsed(response.text)


def parsed(text: str) -> dict[str, Any]:
    return {
        sample.name: (family.type, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_counters_and_gauges_are_shown() -> None:
    gauge = Gauge(metrics={"cpu": GaugeValue(unit="percentage", value=0.5)})
    async with open_exporter(config()) as exporter:
        await exporter.write(batch_of(counter(7), Envelope(gauge=gauge), Envelope(log=Log(payload=b"x"))))
        shown = await scraped(exporter.address)

    assert shown["http_hits_total"] == ("counter", {"source_id": "a"}, 7.0)
    assert shown["cpu"] == ("gauge", {"unit": "percentage"}, 0.5)
    assert shown["standpipe_prometheus_series"][2] == 2


async def test_what_labels_say_survives_the_text_format() -> None:
    evil = 'quote " backslash \\ newline \n é'
    async with open_exporter(config()) as exporter:
        await exporter.write(batch_of(counter(1, tags={"job": evil})))
        shown = await scraped(exporter.address)

    assert shown["http_hits_total"][1]["job"] == evil


async def test_a_counter_and_a_gauge_of_one_name_stay_apart() -> None:
    gauge = Gauge(metrics={"http.hits": GaugeValue(value=1), "http.hits_total": GaugeValue(value=2)})
    async with open_exporter(config()) as exporter:
        await exporter.write(batch_of(counter(7), Envelope(gauge=gauge)))
        shown = await scraped(exporter.address)

    assert [shown[name][2] for name in ("http_hits_total", "http_hits", "http_hits_total_gauge")] == [7, 1, 2]


async def test_series_that_make_room_are_counted() -> None:
    many = [Envelope(counter=Counter(name=f"n{n}", total=1)) for n in range(5)]
    async with open_exporter(config(max_series=2)) as exporter:
        await exporter.write(batch_of(*many))
        shown = await scraped(exporter.address)

    assert shown["standpipe_prometheus_series_evicted_total"][2] == 3
    assert {"n3_total", "n4_total"} <= set(shown)
    assert "n0_total" not in shown


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_an_answer_is_packed_for_who_takes_it(encoding: str) -> None:
    async with open_exporter(config()) as exporter, httpx.AsyncClient(trust_env=False) as client:
        for _ in range(2):  # on one connection
            response = await client.get(f"http://{exporter.address}/metrics", headers={"Accept-Encoding": encoding})
            assert response.headers.get("content-encoding", "identity") == encoding
            assert "standpipe_prometheus_series" in response.text


async def test_only_metrics_are_answered() -> None:
    async with open_exporter(config()) as exporter, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{exporter.address}/")).status_code == 404
        assert (await client.post(f"http://{exporter.address}/metrics", content=b"x" * 100_000)).status_code == 404
        assert (await client.head(f"http://{exporter.address}/metrics")).content == b""


async def test_what_is_no_http_is_cut_off_and_hurts_nobody() -> None:
    async with open_exporter(config(connections=1)) as exporter:
        stream = await trio.open_tcp_stream(*parse_listen(exporter.address))
        async with stream:
            await stream.send_all(b"\x00 nonsense \r\n\r\n")
            assert await stream.receive_some() == b""
        assert await scraped(exporter.address)


async def test_one_scraper_too_many_is_closed_at_once() -> None:
    async with open_exporter(config(connections=1)) as exporter:
        async with await trio.open_tcp_stream(*parse_listen(exporter.address)):

            async def is_turned_away() -> bool:
                async with await trio.open_tcp_stream(*parse_listen(exporter.address)) as another:
                    with trio.move_on_after(1):
                        return await another.receive_some() == b""
                return False

            await eventually(is_turned_away)


async def test_over_tls_a_scraper_may_have_to_show_a_certificate(certs_dir: Path) -> None:
    leaf, own = TlsFiles.named(certs_dir, "nozzle"), TlsFiles.named(certs_dir, "client")
    secure = config(plaintext=False, tls_cert=leaf.cert, tls_key=leaf.key, tls_client_ca=leaf.ca)
    async with open_exporter(secure) as exporter:
        url = f"https://{exporter.address}/metrics"
        async with httpx.AsyncClient(verify=client_context(own.ca, own.cert, own.key), trust_env=False) as client:
            assert parsed((await client.get(url)).text)
        async with httpx.AsyncClient(verify=client_context(own.ca), trust_env=False) as stranger:
            with pytest.raises(httpx.TransportError):
                await stranger.get(url)


async def test_over_tls_alone_whoever_comes_is_answered(certs_dir: Path) -> None:
    leaf = TlsFiles.named(certs_dir, "nozzle")
    secure = config(plaintext=False, tls_cert=leaf.cert, tls_key=leaf.key)
    async with open_exporter(secure) as exporter:
        async with httpx.AsyncClient(verify=client_context(leaf.ca), trust_env=False) as client:
            assert (await client.get(f"https://{exporter.address}/metrics")).status_code == 200


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"tls_cert": "a"},
        {"plaintext": True, "tls_cert": "a", "tls_key": "b"},
        {"plaintext": True, "tls_client_ca": "a"},
    ],
)
def test_plaintext_is_an_explicit_choice(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="tls"):
        kind.Config(**settings)


async def test_it_opens_as_a_kind() -> None:
    async with kind.open(config()) as write:
        await write(batch_of(counter(1)))


async def test_no_name_of_a_metric_breaks_a_scrape() -> None:
    names = ["_total", "_", "7", "a b", 'x"}\n', "é", "n_created", "n_bucket", "n", ":"]
    gauge = Gauge(metrics={name: GaugeValue(value=1) for name in names})
    async with open_exporter(config()) as exporter:
        await exporter.write(batch_of(Envelope(gauge=gauge), *(Envelope(counter=Counter(name=name)) for name in names)))
        shown = await scraped(exporter.address)

    assert {"__total", "_total_gauge", "_7", "_7_total", "n", "n_total", "n_created"} <= set(shown)
