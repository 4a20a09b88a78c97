"""Read the URL of a drain: where its messages go, which envelopes become messages, and how (loggregator.md 5.1, 5.4).

The original's query parameters are read as it reads them, and what it does not know it leaves alone. Besides those a
drain may have options of ours:

    include=RE2, exclude=RE2        lines it wants, and does not want
    rate-limit=LINES_PER_S          the most that it is given
    order-window=MS                 how long envelopes are held, to put those that come late in their place
    multiline=RE2                   lines that match belong to the one before, and are sent in one message with it
    multiline-start=RE2             lines that match begin a message, and all others belong to the one before
    spool=true, spool=BYTES         what it does not take at once is kept on disk, so many bytes of it
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Literal, TypeAlias, TypeVar, cast
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

import httpx
import re2  # type: ignore[import-untyped]  # ships no types

from envelope.kinds import Kind

Scheme: TypeAlias = Literal["syslog", "syslog-tls", "https", "https-batch"]

MOST_URL = 8192
"""Characters a URL may have."""
MOST_PARAMETERS = 100
MOST_PATTERN = 1000
"""Characters a pattern may have."""
MOST_RATE = 1_000_000.0
MOST_WINDOW_MS = 60_000.0
MOST_SPOOL_BYTES = 1 << 40

_PORTS: dict[str, int] = {"syslog": 514, "syslog-tls": 6514, "https": 443, "https-batch": 443}
_METRICS = Kind.COUNTER | Kind.GAUGE
_BY_TYPE = {"logs": Kind.LOG, "metrics": _METRICS, "all": Kind.LOG | _METRICS}
_BY_DATA = {"logs": Kind.LOG | Kind.EVENT, "metrics": _METRICS, "traces": Kind.TIMER, "all": Kind.TYPED}
_OWN = ("include", "exclude", "rate-limit", "order-window", "multiline", "multiline-start", "spool")
_COUNT = re.compile(r"[0-9]{1,13}", re.ASCII)
_UNFIT = re.compile(r"[\x00-\x20\x7f-\x9f\\]|%(?![0-9a-fA-F]{2})")
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_LABELS = re.compile(r"[a-zA-Z0-9_-]{1,63}(\.[a-zA-Z0-9_-]{1,63})*\.?", re.ASCII)

Value = TypeVar("Value")


class BadDrain(ValueError):
    """No drain can be made of this: tell its owner why; the message holds no credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainOptions:
    """What a drain asks for beyond the original's parameters; nothing of it unless its URL says so."""

    include: str = ""
    """RE2 pattern that a log line must match somewhere."""

    exclude: str = ""
    """RE2 pattern that a log line must match nowhere."""

    rate_limit: float = math.inf
    """The most lines a second that are taken, each before it is joined to another."""

    order_window_s: float = 0.0
    """How long envelopes are held to be put in order; 0 is not at all."""

    multiline: str = ""
    """RE2 pattern of lines that belong to the one before."""

    multiline_start: str = ""
    """RE2 pattern of lines that do not; all others do. Only one of the two is not empty."""

    spool_bytes: float = 0.0
    """The most that is kept on disk: infinity is as much as the installation gives, and 0 nothing."""

    @property
    def joins(self) -> bool:
        """Whether several lines may become one message."""
        return bool(self.multiline or self.multiline_start)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainUrl:
    """What the URL of a drain says."""

    scheme: Scheme
    host: str
    """A name in ASCII, or an address without brackets."""

    port: int
    target: str = ""
    """The URL to POST to, for `https` and `https-batch`: user info in it, our own options not. It may hold credentials:
    never log it."""

    kinds: int = int(Kind.LOG | Kind.EVENT)
    """The envelopes that become messages: bits of `envelope.kinds.Kind`."""

    metadata: bool | None = None
    """Whether messages show tags; None leaves it to the installation."""

    ssl_strict_internal: bool = False
    """Whether TLS is as strict as between the components."""

    options: DrainOptions = DrainOptions()


def parse_drain_url(url: str) -> DrainUrl:
    """Read the URL of a drain, or raise `BadDrain`, in the original's words where it has some."""
    parts, host, port, query = _split(url)
    return DrainUrl(
        scheme=cast("Scheme", parts.scheme),
        host=host,
        port=port,
        target=_target(parts) if parts.scheme.startswith("https") else "",
        kinds=int(_kinds(query)),
        metadata=_metadata(query),
        ssl_strict_internal=query.get("ssl-strict-internal") == "true",
        options=_options(query),
    )


def redacted(url: str) -> str:
    """Return a URL without user info, query and fragment; of what is no URL, nothing is shown.

    A password with a `/` in it ends the host too early: what stands for a port then is none, or the rest is a path with
    an `@`. Neither is shown.
    """
    try:
        parts = urlsplit(url[:MOST_URL])
        _ = parts.port  # a ValueError, if it is none
        host = parts.netloc.rpartition("@")[2]
        path = "" if "@" in parts.path else parts.path
        return urlunsplit((parts.scheme, host, path, "", "")) if host else f"{parts.scheme}://"
    except ValueError:
        return "(not a URL)"


def _split(url: str) -> tuple[SplitResult, str, int, dict[str, str]]:
    """Take a URL apart: (its parts, the host and the port to dial, its query)."""
    if len(url) > MOST_URL or _UNFIT.search(url):
        raise BadDrain("Cannot parse syslog drain URL.")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        query = parse_qsl(parts.query, max_num_fields=MOST_PARAMETERS)
    except ValueError as error:
        raise BadDrain("Cannot parse syslog drain URL.") from error
    if parts.scheme not in _PORTS:
        raise BadDrain(f"Invalid Scheme for syslog drain url {redacted(url)}")
    if not host:
        raise BadDrain(f"No hostname found in syslog drain url {redacted(url)}")
    if port == 0:
        raise BadDrain("Cannot parse syslog drain URL.")
    first = dict(reversed(query))  # of several with one name the first one counts, as in Go
    return parts, _in_ascii(host), port or _PORTS[parts.scheme], first


def _in_ascii(host: str) -> str:
    """Return a host as it is looked up: IDNA for a name beyond ASCII."""
    try:
        if ":" in host and "%" not in host:
            return str(IPv6Address(host))
        name = httpx.URL(scheme="https", host=host).raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError) as error:
        raise BadDrain("Cannot parse syslog drain URL.") from error
    if len(name) > 254 or not _LABELS.fullmatch(name):
        raise BadDrain("Cannot parse syslog drain URL.")
    return name


def _target(parts: SplitResult) -> str:
    kept = [pair for pair in parts.query.split("&") if pair.partition("=")[0] not in _OWN]
    return urlunsplit(("https", parts.netloc, parts.path or "/", "&".join(kept), ""))


def _kinds(query: dict[str, str]) -> Kind:
    if query.get("include-metrics-deprecated"):
        return Kind.TYPED
    by_type = _BY_TYPE.get(query.get("drain-type", ""), Kind.LOG | Kind.EVENT)
    return _BY_DATA.get(query.get("drain-data", ""), by_type)


def _metadata(query: dict[str, str]) -> bool | None:
    disabled = query.get("disable-metadata") or query.get("omit-metadata")
    return {"true": False, "false": True}.get(disabled or "")


def _options(query: dict[str, str]) -> DrainOptions:
    asked = {name: query[name] for name in _OWN if query.get(name)}
    if "multiline" in asked and "multiline-start" in asked:
        raise BadDrain("multiline and multiline-start exclude each other")

    def read(name: str, reader: Callable[[str, str], Value], otherwise: Value) -> Value:
        return reader(name, asked[name]) if name in asked else otherwise

    return DrainOptions(
        include=read("include", _pattern, ""),
        exclude=read("exclude", _pattern, ""),
        rate_limit=read("rate-limit", lambda name, text: _number(name, text, MOST_RATE), math.inf),
        order_window_s=read("order-window", lambda name, text: _number(name, text, MOST_WINDOW_MS) / 1000, 0.0),
        multiline=read("multiline", _pattern, ""),
        multiline_start=read("multiline-start", _pattern, ""),
        spool_bytes=read("spool", _spool_bytes, 0.0),
    )


def _spool_bytes(name: str, text: str) -> float:
    if text in ("true", "false"):
        return math.inf if text == "true" else 0.0
    if not _COUNT.fullmatch(text) or not 0 < int(text) <= MOST_SPOOL_BYTES:
        raise BadDrain(f"{name} is neither true nor false nor a count of bytes up to {MOST_SPOOL_BYTES:,}")
    return float(text)


def _number(name: str, text: str, most: float) -> float:
    if not _DECIMAL.fullmatch(text) or not 0 < float(text) <= most:
        raise BadDrain(f"{name} is not a number above 0 and up to {most:,.0f}")
    return float(text)


def _pattern(name: str, text: str) -> str:
    if len(text) > MOST_PATTERN:
        raise BadDrain(f"{name} has more than {MOST_PATTERN} characters")
    try:
        re2.compile(text, _quiet())
    except re2.error as error:
        raise BadDrain(f"{name} is not an RE2 pattern: {_reason(error)}") from error
    return text


def _quiet() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options


def _reason(error: re2.error) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
