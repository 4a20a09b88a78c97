"""A doppler says of itself what the original's does (loggregator.md 1.8)."""

import random
from functools import partial

from doppler.exchange import Exchange
from doppler.router import Router
from doppler.self_metrics import make_self_metrics
from doppler.v1_router import EVERYTHING, V1Request, V1Router
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from envelope.selectors import make_request, parse_request
from plumbing.diode import SharedDiode
from plumbing.ingress_server import IngressCounts
from plumbing.self_metrics import SelfMetrics

LOGS = EnvelopeBatch(batch=[Envelope(log={})]).SerializeToString()


def make_exchange(capacity: int = 100) -> tuple[Exchange, Router, V1Router]:
    make_diode = partial(SharedDiode, capacity, 1 << 20)
    router = Router(make_diode, linger_s=0, max_subscriptions=9, now_ns=lambda: 0, rng=random.Random(1))
    v1_router = V1Router(make_diode, linger_s=0, places=router.places, now_ns=lambda: 0)
    return Exchange(router, v1_router), router, v1_router


def read(metrics: SelfMetrics) -> dict[str, float]:
    values: dict[str, float] = {}
    for envelope in EnvelopeBatch.FromString(metrics.batch(0).batch).batch:
        direction = envelope.tags.get("direction", "")
        for name, gauge in envelope.gauge.metrics.items():
            values[name] = gauge.value
        if envelope.counter.name:
            values[f"{envelope.counter.name} {direction}".strip()] = envelope.counter.total
    return values


def test_the_five_metrics_of_the_original_with_its_tags_are_told() -> None:
    exchange, *_ = make_exchange()
    metrics = make_self_metrics("router-7", {"index": "7"}, IngressCounts(), exchange)

    envelopes = EnvelopeBatch.FromString(metrics.batch(5).batch).batch

    assert list(read(metrics)) == ["ingress", "egress", "dropped ingress", "dropped egress", "subscriptions"]
    for envelope in envelopes:
        assert envelope.source_id == "router-7"
        assert {key: envelope.tags[key] for key in envelope.tags if key != "direction"} == {
            "origin": "loggregator.doppler",
            "metric_version": "2.0",
            "index": "7",
        }


def test_they_count_both_wires() -> None:
    exchange, router, v1_router = make_exchange(capacity=2)
    counts = IngressCounts(malformed=3)
    metrics = make_self_metrics("doppler", {}, counts, exchange)
    reader = router.subscribe(parse_request(make_request(Kind.LOG)))
    v1_router.subscribe(V1Request("", EVERYTHING))
    for _ in range(5):
        exchange.accept(LOGS, 1, Kind.LOG)
    reader.delivered(1)

    assert read(metrics) == {
        "ingress": 5,
        "egress": 1,
        "dropped ingress": 3,
        "dropped egress": 6,
        "subscriptions": 2,
    }


def test_what_nobody_came_back_for_was_no_loss_of_a_reader() -> None:
    exchange, router, _ = make_exchange()
    metrics = make_self_metrics("doppler", {}, IngressCounts(), exchange)
    reader = router.subscribe(parse_request(make_request(Kind.LOG)))
    exchange.accept(LOGS, 1, Kind.LOG)

    reader.leave([])

    assert read(metrics)["dropped egress"] == 0


def test_what_it_says_of_itself_is_no_ingress() -> None:
    exchange, *_ = make_exchange()
    metrics = make_self_metrics("doppler", {}, IngressCounts(), exchange)

    exchange.accept_own(metrics.batch(0))

    assert (read(metrics)["ingress"], exchange.own) == (0, 5)
