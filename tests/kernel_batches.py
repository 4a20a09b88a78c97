"""What the two kernels are given: batches, and envelopes of which a test says what matters."""

from collections import defaultdict
from typing import Any

from hypothesis import strategies as st

from envelope.pb import loggregator_v2_pb2 as v2
from tests.kernel_results import admitted
from tests.strategies import CONTAINER_METRICS, UUID_TEXT, batches, odd_batches

DEFAULTS = v2.Envelope(tags={"deployment": "cf", "job": "cell"}).SerializeToString()

EVERY_NAME: defaultdict[bytes, bool] = defaultdict(lambda: True)

all_batches = batches() | odd_batches
clean_batches = all_batches.map(admitted)
int64s = st.integers(-(2**63), 2**63 - 1)


def log(**fields: Any) -> v2.Envelope:
    return v2.Envelope(log=v2.Log(payload=b"hello"), **fields)


def timer(**tags: str) -> v2.Envelope:
    return v2.Envelope(source_id=UUID_TEXT, tags={"request_id": UUID_TEXT, **tags}, timer=v2.Timer(name="http"))


def container(**fields: Any) -> v2.Envelope:
    metrics = dict.fromkeys(CONTAINER_METRICS, v2.GaugeValue(unit="bytes", value=3.5))
    return v2.Envelope(gauge=v2.Gauge(metrics=metrics), **fields)
