"""What the URL of a drain says, and what is no such URL (loggregator.md 5.1, 5.4)."""

import math
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.kinds import Kind
from syslog_adapter.drain_url import (
    MOST_PATTERN,
    MOST_URL,
    BadDrain,
    DrainOptions,
    parse_drain_url,
    redacted,
)

LOGS = Kind.LOG | Kind.EVENT
METRICS = Kind.COUNTER | Kind.GAUGE
UNPARSABLE = "Cannot parse syslog drain URL."


def refusal(url: str) -> str:
    with pytest.raises(BadDrain) as caught:
        parse_drain_url(url)
    return str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "port"), [("syslog", 514), ("syslog-tls", 6514), ("https", 443), ("https-batch", 443)]
)
def test_every_scheme_has_its_port(scheme: str, port: int) -> None:
    assert parse_drain_url(f"{scheme}://drain.example").port == port
    assert parse_drain_url(f"{scheme}://drain.example:99").port == 99
    assert parse_drain_url(f"{scheme}://drain.example").scheme == scheme


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("drain.example", "drain.example"),
        ("DRAIN.example.", "drain.example."),
        ("my_drain", "my_drain"),
        ("10.0.0.1", "10.0.0.1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("user:pass@drain", "drain"),
    ],
)
def test_the_host_is_what_is_dialled(written: str, host: str) -> None:
    assert parse_drain_url(f"syslog://{written}:514").host == host


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://drain", "https://drain/"),
        ("https-batch://drain:8443/a/b?x=1", "https://drain:8443/a/b?x=1"),
        (
            "https://u:p%40@drain/?key=a%20b&include=x&spool=1&multiline=a&order-window=1&drain-data=all&rate-limit=1",
            "https://u:p%40@drain/?key=a%20b&drain-data=all",
        ),
        ("https://drain/#part", "https://drain/"),
        ("syslog://drain/path", ""),
    ],
)
def test_the_target_is_the_url_without_our_own_options(url: str, target: str) -> None:
    assert parse_drain_url(url).target == target


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("", LOGS),
        ("drain-data=logs", LOGS),
        ("drain-data=metrics", METRICS),
        ("drain-data=traces", Kind.TIMER),
        ("drain-data=all", Kind.TYPED),
        ("drain-data=other", LOGS),
        ("drain-type=logs", Kind.LOG),
        ("drain-type=metrics", METRICS),
        ("drain-type=all", Kind.LOG | METRICS),
        ("drain-type=other", LOGS),
        ("drain-type=metrics&drain-data=traces", Kind.TIMER),
        ("drain-type=all&drain-data=other", Kind.LOG | METRICS),
        ("drain-data=logs&drain-data=all", LOGS),
        ("include-metrics-deprecated=no", Kind.TYPED),
        ("include-metrics-deprecated=", LOGS),
        ("include-metrics-deprecated=true&drain-data=logs", Kind.TYPED),
    ],
)
def test_the_query_says_which_envelopes(query: str, kinds: int) -> None:
    assert parse_drain_url(f"syslog://drain?{query}").kinds == kinds


@pytest.mark.parametrize(
    ("query", "metadata"),
    [
        ("", None),
        ("disable-metadata=true", False),
        ("disable-metadata=false", True),
        ("omit-metadata=true", False),
        ("omit-metadata=false", True),
        ("disable-metadata=1", None),
        ("disable-metadata=true&omit-metadata=false", False),
    ],
)
def test_the_query_says_whether_tags_show(query: str, metadata: bool | None) -> None:
    assert parse_drain_url(f"syslog://drain?{query}").metadata is metadata


def test_tls_may_be_strict() -> None:
    assert parse_drain_url("syslog-tls://drain?ssl-strict-internal=true").ssl_strict_internal
    assert not parse_drain_url("syslog-tls://drain?ssl-strict-internal=1").ssl_strict_internal


def test_options_of_ours_are_read() -> None:
    query = f"include={quote('a+ b')}&exclude=c&rate-limit=100"

    assert parse_drain_url(f"syslog://drain?{query}").options == DrainOptions(
        include="a+ b", exclude="c", rate_limit=100.0
    )
    assert parse_drain_url("syslog://drain?include=&spool=").options == DrainOptions()
    assert parse_drain_url("syslog://drain?spool=false&multiline=").options == DrainOptions()
    query = f"spool=true&multiline={quote('^[ ]')}&order-window=1500"
    assert parse_drain_url(f"syslog://drain?{query}").options == DrainOptions(
        spool_bytes=math.inf, multiline="^[ ]", order_window_s=1.5
    )
    asked = parse_drain_url("syslog://drain?spool=1000&multiline-start=a").options
    assert (asked.spool_bytes, asked.multiline_start, asked.joins) == (1000.0, "a", True)
    assert math.isinf(DrainOptions().rate_limit)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("include=%5B", "include is not an RE2 pattern: missing ]"),
        ("exclude=(%3F%3Da)", "exclude is not an RE2 pattern"),
        (f"include={'a' * (MOST_PATTERN + 1)}", "include has more than 1000 characters"),
        ("rate-limit=0", "rate-limit is not a number above 0 and up to 1,000,000"),
        ("spool=yes", "spool is neither true nor false nor a count of bytes up to"),
        ("spool=0", "spool is neither"),
        ("spool=1.5", "spool is neither"),
        (f"spool={(1 << 40) + 1}", "spool is neither"),
        ("multiline=%5B", "multiline is not an RE2 pattern: missing ]"),
        ("multiline-start=%5B", "multiline-start is not an RE2 pattern: missing ]"),
        ("multiline=a&multiline-start=b", "multiline and multiline-start exclude each other"),
        ("order-window=0", "order-window is not a number above 0 and up to 60,000"),
        ("order-window=60001", "order-window is not a number"),
        ("rate-limit=inf", "rate-limit is not a number"),
        ("rate-limit=1e3", "rate-limit is not a number"),
        ("rate-limit=%D9%A3", "rate-limit is not a number"),
    ],
)
def test_options_that_make_no_sense_are_refused(query: str, reason: str) -> None:
    assert refusal(f"syslog://drain?{query}").startswith(reason)


@pytest.mark.parametrize(
    "url",
    [
        *(" https://leading.space", "syslog://a b", "syslog://drain\n", "syslog://drain:x", "syslog://drain:65536"),
        *("syslog://drain:0", "syslog://[::1", "syslog://[fe80::1%25eth0]", "syslog://%zz", "syslog://a..b"),
        *("syslog://fe80::1", f"syslog://{'a' * 64}", f"syslog://{'a.' * 130}a", "syslog://a\\b", "syslog://-ü-.x"),
        *("syslog://drain/" + "a" * MOST_URL, "syslog://drain?" + "a=1&" * 101),
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    assert refusal(url) == UNPARSABLE


def test_other_schemes_and_no_host_are_refused_without_showing_secrets() -> None:
    assert refusal("udp://me:secret@drain:1/x?secret") == "Invalid Scheme for syslog drain url udp://drain:1/x"
    assert refusal("drain.example") == "Invalid Scheme for syslog drain url ://"
    assert refusal("https://me:secret@") == "No hostname found in syslog drain url https://"
    assert refusal("syslog:drain?secret") == "No hostname found in syslog drain url syslog://"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@drain:8443/path?token=secret#secret", "https://drain:8443/path"),
        ("https://a@b:secret@drain", "https://drain"),
        ("syslog://[::1]:514", "syslog://[::1]:514"),
        ("syslog://[::1", "(not a URL)"),
        ("syslog://me:sec/ret@drain", "(not a URL)"),
        ("syslog://me:sec?ret@drain", "(not a URL)"),
        ("syslog://me:12/secret@drain", "syslog://me:12"),
        ("secret", "://"),
    ],
)
def test_a_url_is_shown_without_user_info_and_query(url: str, shown: str) -> None:
    assert redacted(url) == shown


@given(st.text(max_size=40) | st.text("syslog:/@[]?#%=&.a1-é", max_size=40).map("https://".__add__))
def test_any_text_is_a_drain_or_a_bad_drain(text: str) -> None:
    redacted(text)
    try:
        drain = parse_drain_url(text)
    except BadDrain:
        return
    assert drain.host
    assert 0 < drain.port < 65536
