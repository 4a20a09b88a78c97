"""What would crash the parser or keep it busy is refused before it is parsed; all else stays what it says."""

import subprocess
import sys
import time

import pytest

from log_cache.promql.guard import MAX_DEPTH, MAX_LENGTH, MAX_OPERATORS, guarded
from log_cache.promql.query import parse
from log_cache.promql.values import QueryError


def refusal(text: str) -> str:
    with pytest.raises(QueryError) as refused:
        guarded(text)
    assert refused.value.kind == "bad_data"
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("m" * (MAX_LENGTH + 1), "too long: 16385 bytes"),
        ("é" * MAX_LENGTH, "too long"),
        ('"\ud800"', "not valid Unicode"),
        ("(" * (MAX_DEPTH + 1), "nested too deep, at most 100 are allowed (at character 101"),
        ("1" + "+1" * (MAX_OPERATORS + 1), "too many operators, at most 250"),
        ("-" * (MAX_OPERATORS + 1) + "m", "too many operators"),
        ("m" + " and m" * (MAX_OPERATORS + 1), "too many operators"),
        ("m" + " OR m" * (MAX_OPERATORS + 1), "too many operators"),
        ('m{a="b', "unterminated string (at character 5"),
        ('"a\\"', "unterminated string"),
        ("m{a=~`b", "unterminated string"),
        ("m{a=~b}", "expected a string after =~"),
        ("m offset 1e300", "not a valid duration: 1e300"),
        ("m offset -1e300", "not a valid duration"),
        ("m[1e300]", "not a valid duration"),
        ("m[5m:1e300]", "not a valid duration"),
        ("m @ -1", "a time before 1970 is not supported"),
        ("m @ 1e300", "not a valid time"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH,
        "1" + "+1" * MAX_OPERATORS,
        "m{" + 'a="b",' * 1000 + "}",
        'm{a="' + "(" * 1000 + '"}',
        "m # " + "(" * 1000,
        "`" + "-" * 1000 + "`",
        "sum by (and_then, orbit) (m @ 12.5 offset 1h5m)",
        "m @ start() offset -5m",
        "m[1h:5m]",
    ],
)
def test_what_is_not(text: str) -> None:
    guarded(text)


def test_brackets_in_strings_and_comments_do_not_hide_those_behind_them() -> None:
    assert "nested too deep" in refusal('"\\"" # "\n' + "(" * 101)
    assert "nested too deep" in refusal("`\\` + " + "(" * 101)


def test_a_pattern_never_reaches_the_parser_which_would_take_a_tenth_of_a_second_for_it() -> None:
    text = "m{" + ",".join(['a=~"\\\\w{300}"'] * 60) + "}"
    start = time.perf_counter()

    parse(text)

    assert time.perf_counter() - start < 2  # two minutes, if the parser compiled them


@pytest.mark.parametrize("text", ["\\'" * 8000 + "\\", "=\n" * 8000, '"' * 16_000, "=#\n" * 5000, "[:" * 8000])
def test_the_guard_takes_linear_time(text: str) -> None:
    start = time.perf_counter()

    with pytest.raises(QueryError):
        parse(text)

    assert time.perf_counter() - start < 1


SOUP = """
import random
from log_cache.promql.query import parse
from log_cache.promql.values import QueryError

tokens = [*"()[]{}+-*/%^<>@:,#'`\\\\\\n\\"", *'''
    m foo == != and or unless by without on ignoring group_left bool offset start() 1 -1 NaN Inf time() é ٣ 0x
    5m 1h 1e300 1e999 99999999999y 1y2d a="b" a=~"x.*" a!~`y` [5m] [5m:1m] [5m:] {a="b"} @-1e300 @NaN "\\\\x" "\\\\777"
    rate( sum( abs( topk(3, label_replace( absent( timestamp( quantile_over_time(0.5, offset'''.split()]
randomly = random.Random(4)
for _ in range(15_000):
    text = " ".join(randomly.choices(tokens, k=randomly.randint(1, randomly.choice((4, 8, 20, 200)))))
    try:
        parse(text)
    except QueryError as error:
        assert error.kind == "bad_data", text
for deep in ("(", "-", "1+", "1^", "abs(", "sum(", "rate(", "{", "[", "m and ", "a=~"):
    for count in (10, 100, 250, 1000, 4000, 16_000):
        for end in ("", "m", "1", "m" + "[5m:1m])" * count, "m" + ")" * count, '"x"'):
            try:
                parse(deep * count + end)
            except QueryError as error:
                assert error.kind == "bad_data"
"""


def test_random_tokens_and_deep_ones_neither_end_the_process_nor_make_the_parser_panic() -> None:
    done = subprocess.run([sys.executable, "-c", SOUP], capture_output=True, text=True, timeout=100, check=False)

    assert (done.returncode, done.stderr) == (0, "")
