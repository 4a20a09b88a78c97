"""What a traffic controller says of itself, through an agent (loggregator.md 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from plumbing.diode import Parcel
from plumbing.self_metrics import SelfMetrics
from traffic_controller.app_streams import AppStreams
from traffic_controller.doors import Endpoint, Stream
from traffic_controller.readers import Readers

ORIGIN = "loggregator.trafficcontroller"
SOURCE_ID = "traffic_controller"
SLOW_CONSUMER = "Traffic Controller has disconnected slow consumer"


def make_self_metrics(readers: Readers, app_streams: AppStreams) -> SelfMetrics:
    """Name the original's metrics; delivered is what a client has confirmed, not what was written."""
    metrics = SelfMetrics(ORIGIN, SOURCE_ID)
    metrics.counter("ingress", partial(_ingress, readers, app_streams), protocol="grpc")
    for endpoint in (Endpoint.FIREHOSE, Endpoint.STREAM):
        metrics.counter("egress", partial(readers.delivered_at, endpoint), endpoint=endpoint)
    metrics.gauge("doppler_proxy.firehoses", "connections", partial(readers.open_at, Endpoint.FIREHOSE))
    metrics.gauge("doppler_proxy.app_streams", "connections", partial(readers.open_at, Endpoint.STREAM))
    metrics.gauge("doppler_proxy.slow_consumer", "consumer", lambda: readers.slow_consumers)
    return metrics


def slow_consumer_event(stream: Stream, now_ns: Callable[[], int]) -> Parcel:
    """Tell operators who was cut off."""
    body = f"Remote Address: {stream.remote}\nX-Forwarded-For: {stream.forwarded_for}\nPath: {stream.path}"
    return SelfMetrics(ORIGIN, SOURCE_ID).event(SLOW_CONSUMER, body, now_ns())


def _ingress(readers: Readers, app_streams: AppStreams) -> int:
    firehoses = [account for account in readers.accounts() if account.kind == "reader"]
    return sum(account.received + account.returned for account in firehoses) + app_streams.received
