"""Samples keep the names they have in the text, and know what they are in their family."""

import pytest

from metron.sources.prometheus.exposition import MAX_LINE_BYTES, ExpositionError, Role, Sample, samples_of

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def read(text: str | bytes, content_type: str = "text/plain; version=0.0.4", max_samples: int = 100) -> list[Sample]:
    body = text.encode() if isinstance(text, str) else text
    return list(samples_of(body, content_type, max_samples=max_samples))


def roles(text: str, content_type: str = "") -> dict[str, Role]:
    return {sample.name: sample.role for sample in read(text, content_type)}


@pytest.mark.parametrize("name", ["requests", "requests_total", "requests_total_total", "a:b"])
def test_a_counter_is_called_what_the_text_calls_it(name: str) -> None:
    assert read(f"# TYPE {name} counter\n{name} 5\n") == [Sample(name, Role.COUNTER, {}, 5)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a 1\n", {"a": Role.GAUGE}),
        ("# TYPE a untyped\na 1\n", {"a": Role.GAUGE}),
        ("# TYPE a gauge\na 1\n", {"a": Role.GAUGE}),
        ("# TYPE a counter\n# HELP a Help.\na 1\n", {"a": Role.COUNTER}),
        ("#TYPE\ta  COUNTER \na 1\n", {"a": Role.COUNTER}),
        ("# TYPE a counter\na_total 1\n", {"a_total": Role.GAUGE}),
        ("# TYPE a counter\nb 1\na 2\n", {"b": Role.GAUGE, "a": Role.COUNTER}),
        (
            '# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n',
            {"a_bucket": Role.BUCKET, "a_sum": Role.SUM, "a_count": Role.COUNTER},
        ),
        (
            '# TYPE a summary\na{quantile="0.5"} 1\na_sum 1\na_count 1\n',
            {"a": Role.QUANTILE, "a_sum": Role.SUM, "a_count": Role.COUNTER},
        ),
        ("# TYPE a summary\na_bucket 1\n", {"a_bucket": Role.GAUGE}),
        ("# TYPE a gauge\na_sum 1\na_count 1\n", {"a_sum": Role.GAUGE, "a_count": Role.GAUGE}),
        ('# TYPE "a.b" counter\n{"a.b",c="d"} 1\n', {"a.b": Role.COUNTER}),
        ("# TYPE a newfangled\na 1\n", {"a": Role.GAUGE}),
        ("", {}),
        ("# just a word\n\n   \n", {}),
    ],
)
def test_the_type_of_its_family_says_what_a_sample_is(text: str, expected: dict[str, Role]) -> None:
    assert roles(text) == expected


def test_labels_and_values_are_read() -> None:
    text = 'a{b="x\\"y\\n",c="ü"} 1.5e3 1700000000000\na NaN\na -Inf\n'

    first, second, third = read(text)

    assert (first.labels, first.value) == ({"b": 'x"y\n', "c": "ü"}, 1500)
    assert second.value != second.value
    assert third.value == float("-inf")


def test_openmetrics_is_read_as_such() -> None:
    text = (
        '# HELP a Help.\n# TYPE a counter\na_total 5 # {trace="x"} 1.0\na_created 1.0\n'
        '# TYPE h histogram\nh_bucket{le="1.0"} 1\nh_bucket{le="+Inf"} 2\nh_count 2\nh_sum 3.0\n'
        '# TYPE s summary\ns{quantile="0.5"} 1.0\ns_count 1\ns_sum 1.0\n# TYPE u unknown\nu 1\n# EOF\n'
    )

    assert roles(text, OPENMETRICS) == {
        "a_total": Role.COUNTER,
        "a_created": Role.GAUGE,
        "h_bucket": Role.BUCKET,
        "h_count": Role.COUNTER,
        "h_sum": Role.SUM,
        "s": Role.QUANTILE,
        "s_count": Role.COUNTER,
        "s_sum": Role.SUM,
        "u": Role.GAUGE,
    }


def test_openmetrics_without_its_end_is_no_answer() -> None:
    with pytest.raises(ExpositionError, match="EOF"):
        read("# TYPE a counter\na_total 5\n", OPENMETRICS)


def test_a_native_histogram_has_no_number() -> None:
    text = "# TYPE h histogram\nh {count:4,sum:6.0,schema:3,zero_threshold:2e-128,zero_count:1}\n# EOF\n"

    assert [(sample.name, sample.labels, sample.value) for sample in read(text, OPENMETRICS)] == [("h", {}, None)]


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>hello</body></html>\n",
        b"a one\n",
        b"a\n",
        b"1a 5\n",
        b'a{b="c} 1\n',
        b"a{b=c} 1\n",
        b'a{b="1",b="2"} 1\n',
        b"a \xff\n",
        b"\x00\x01\x02\n",
        b"\x1f\x8b\x08\x00garbage\n",
        b"a 1\nb 12",
    ],
)
def test_garbage_is_an_error_of_its_own(body: bytes) -> None:
    with pytest.raises(ExpositionError):
        read(body)


@pytest.mark.parametrize(
    "body", [b"\n", b"# TYPE s summary\ns 1\n# EOF\n", b"# TYPE a b c\n", b"#\n", b"# TYPE h histogram\nh {a} 1\n"]
)
def test_garbage_of_openmetrics_is_the_same_error(body: bytes) -> None:
    with pytest.raises(ExpositionError):
        read(body, OPENMETRICS)


def test_more_samples_than_allowed_are_an_error() -> None:
    assert len(read("# c\na 1\n" * 3, max_samples=3)) == 3
    with pytest.raises(ExpositionError, match="more than 3 samples"):
        read("a 1\n" * 4, max_samples=3)


@pytest.mark.parametrize("start", [b"a", b"# HELP a ", b'a{b="', b"# TYPE "])
def test_an_endless_line_is_an_error(start: bytes) -> None:
    assert read(b'a{b="' + b"x" * (MAX_LINE_BYTES - 10) + b'"} 1\n')
    with pytest.raises(ExpositionError, match="a line of more"):
        read(start + b"x" * MAX_LINE_BYTES + b"\n")


def test_reading_can_be_ended_between_any_two_lines() -> None:
    class Enough(BaseException):
        pass

    lines = iter(range(3))

    def check() -> None:
        if next(lines) == 2:
            raise Enough

    with pytest.raises(Enough):
        list(samples_of(b"a 1\n" * 100, "", max_samples=100, check=check))
