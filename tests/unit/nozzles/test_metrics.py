"""What a nozzle says of itself, where there is something to work out."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Envelope
from nozzles.metrics import Parts


def lag_s(oldest: bytes) -> float:
    unused: Any = None
    delivery: Any = SimpleNamespace(oldest=oldest)
    return Parts(unused, unused, unused, delivery, unused).lag_s


def test_the_lag_is_the_age_of_the_first_envelope_and_the_others_are_not_looked_at() -> None:
    first = Envelope(timestamp=int((time.time() - 3600) * 1e9)).SerializeToString()

    assert lag_s(frame(first) + b"\xff\xff\xff\xff") == pytest.approx(3600, abs=600)


@pytest.mark.parametrize("timestamp", [0, -5, 2**63 - 1], ids=["none", "before 1970", "far off"])
def test_an_envelope_without_a_time_or_from_the_future_lags_behind_nothing(timestamp: int) -> None:
    assert lag_s(frame(Envelope(timestamp=timestamp).SerializeToString())) == 0


def test_nothing_that_waits_lags_behind_nothing() -> None:
    assert lag_s(b"") == 0
