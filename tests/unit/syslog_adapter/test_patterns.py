import pytest

from syslog_adapter.patterns import Patterns
from tests.unit.syslog_adapter.lines import counter, lines, of, texts

LINES = lines("GET /health 200", "GET /shop 200", "GET /shop 500")


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        ("", "health", ["GET /shop 200", "GET /shop 500"]),
        ("500$", "", ["GET /shop 500"]),
        ("shop", "500", ["GET /shop 200"]),
        ("nothing", "", []),
    ],
)
def test_lines_are_kept_by_what_they_say(include: str, exclude: str, left: list[str]) -> None:
    patterns = Patterns.of(include, exclude)

    assert patterns
    batch, count = patterns.sift(LINES)
    assert (texts(batch), count) == (left, len(left))


def test_what_is_no_line_is_kept() -> None:
    patterns = Patterns.of("nothing", "")

    assert patterns
    assert patterns.sift(of([counter()])) == (of([counter()]), 1)


def test_no_patterns_are_none() -> None:
    assert Patterns.of("", "") is None
