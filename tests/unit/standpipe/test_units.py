import pytest

from standpipe.units import bytes_text, count_text, duration_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (34 << 20, "34 MiB"), (2**64, "16 EiB")],
)
def test_bytes(size: int, text: str) -> None:
    assert bytes_text(size) == text


def test_there_is_no_unit_beyond_the_last() -> None:
    assert bytes_text(2**74) == "16384 EiB"


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (12_300, "12.3 µs"),
        (12_345_678, "12.3 ms"),
        (1_500_000_000, "1.5 s"),
        (90 * 10**9, "1.5 min"),
        (7200 * 10**9, "2 h"),
        (-2_000_000, "-2 ms"),
    ],
)
def test_durations(nanoseconds: int, text: str) -> None:
    assert duration_text(nanoseconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (0.5, "0.5"), (5, "5"), (12.7, "13"), (1234, "1,234"), (1_234_567.8, "1,234,568")]
)
def test_counts(count: float, text: str) -> None:
    assert count_text(count) == text
