"""What a path asks for (loggregator.md 4.3). No I/O.

A source id may be any text, with slashes, line breaks and whatever else can be escaped: the path is taken as it came
over the wire, split once, and only then unescaped. A router of patterns does it the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from log_cache.rest.refusals import Code, error, method_not_allowed, no_such_path
from plumbing.http.exchange import OTHER

_API = b"/api/v1/"
_READ = b"read/"
_LABEL, _VALUES = b"label/", b"/values"

_GET = ("GET", "HEAD", "OPTIONS")
_FORM = (*_GET, "POST")

_METHODS = {
    "read": _GET,
    "meta": _GET,
    "info": _GET,
    "query": _FORM,
    "query_range": _FORM,
    "labels": _FORM,
    "label_values": _GET,
    "series": _FORM,
    "metadata": _GET,
    "buildinfo": _GET,
}
_FIXED = {
    b"meta": "meta",
    b"info": "info",
    b"query": "query",
    b"query_range": "query_range",
    b"labels": "labels",
    b"series": "series",
    b"metadata": "metadata",
    b"status/buildinfo": "buildinfo",
}

NAMES = (*_METHODS, OTHER)


@dataclass(frozen=True, slots=True)
class Route:
    """What is asked for, and about which source or label."""

    name: str
    argument: str = ""


def find(raw_path: bytes) -> Route:
    """Return what a path asks for; raises the `Refusal` of one that is unknown, or names what is not UTF-8."""
    rest = raw_path.removeprefix(_API)
    if rest == raw_path:
        raise no_such_path()
    if rest.startswith(_READ):
        return Route("read", _unescaped(rest[len(_READ) :]))
    if rest.startswith(_LABEL) and rest.endswith(_VALUES) and len(rest) > len(_LABEL) + len(_VALUES):
        return Route("label_values", _unescaped(rest[len(_LABEL) : -len(_VALUES)]))
    if rest not in _FIXED:
        raise no_such_path()
    return Route(_FIXED[rest])


def allowed_methods(name: str) -> tuple[str, ...]:
    """Return the methods of a route."""
    return _METHODS[name]


def check_method(name: str, method: str) -> None:
    """Raise the `Refusal` of a method that a route does not have."""
    if method not in _METHODS[name]:
        raise method_not_allowed(_METHODS[name])


def _unescaped(escaped: bytes) -> str:
    try:
        return unquote_to_bytes(escaped).decode()
    except UnicodeDecodeError:
        raise error(Code.INVALID_ARGUMENT, "the path is not UTF-8") from None
