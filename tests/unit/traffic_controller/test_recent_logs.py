"""How many lines, and the line that says there are none."""

import pytest

from envelope.pb import dropsonde_pb2 as v1
from traffic_controller.recent_logs import lines_asked_for, no_log_cache


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ({}, 1000),
        ({"limit": ["7"]}, 7),
        ({"limit": ["7", "8"]}, 7),
        ({"limit": ["0"]}, 0),
        ({"limit": ["1001"]}, 1000),
        ({"limit": ["9" * 5000]}, 1000),
        ({"limit": ["-1"]}, 1000),
        ({"limit": [""]}, 1000),
        ({"limit": ["many"]}, 1000),
        ({"limit": ["٧"]}, 1000),
    ],
)
def test_the_limit(query: dict[str, list[str]], lines: int) -> None:
    assert lines_asked_for(query) == lines


def test_without_a_log_cache_a_line_of_the_original_says_so() -> None:
    envelope = v1.Envelope.FromString(no_log_cache(5).SerializeToString())

    line = envelope.logMessage
    assert (envelope.origin, envelope.eventType, envelope.timestamp) == ("loggregator.trafficcontroller", 5, 5)
    assert line.message == b"recent log endpoint requires a log cache. please talk to you operator"
    assert (line.message_type, line.source_type, line.timestamp) == (v1.LogMessage.ERR, "Loggregator", 5)
