"""Go's durations."""

import pytest

from metron.sources.prometheus.durations import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15s", 15),
        ("1m30s", 90),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("250ms", 0.25),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("+2s", 2),
        ("-1s", -1),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, seconds: float) -> None:
    assert seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "15", "s", "1 s", "1d", "1.2.3s", "soon", "1s junk", "--1s", "٣s"])
def test_what_is_no_duration_with_a_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds_of(text)
