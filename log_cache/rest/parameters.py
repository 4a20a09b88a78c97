"""The parameters of a request, and what they say in the types of `ReadRequest`, as grpc-gateway reads them. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from envelope.pb.logcache_v1_pb2 import EnvelopeType
from log_cache.query import BadRequest, Query
from log_cache.requests import make_query
from log_cache.rest.refusals import Code, error
from plumbing.http.refusal import Refusal

Parameters = Mapping[str, Sequence[str]]

MAX_PARAMETERS = 1000

_CAMEL = {
    "start_time": "startTime",
    "end_time": "endTime",
    "envelope_types": "envelopeTypes",
    "name_filter": "nameFilter",
    "local_only": "localOnly",
}
UNDERSTOOD = frozenset(
    {*_CAMEL, *_CAMEL.values(), "limit", "descending", "cursor", "wait"}
    | {"query", "time", "start", "end", "step", "match[]"}
)
"""Every parameter that means something here."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_BOOLS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True)
_BOOLS |= dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False)
_TYPES: Mapping[str, int] = dict(EnvelopeType.items())
_SHOWN = 100  # characters of a wrong value


def parse_parameters(text: bytes) -> dict[str, list[str]]:
    """Read a query or a form; a name without a value has an empty one. The `Refusal` of more than `MAX_PARAMETERS`."""
    try:
        return parse_qs(text.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise error(Code.INVALID_ARGUMENT, f"more than {MAX_PARAMETERS} parameters") from None


def parse_read(source_id: str, given: Parameters, *, now_ns: int, last_event_id: str = "") -> Query:
    """Make the query of a read; raises the `Refusal` of a bad one.

    What the original's gateway cannot parse is 400, what its node refuses is 500. A read with a cursor, which the
    original does not know, is refused with 400. A `last_event_id` stands in for the cursor.
    """
    cursor = last_event_id or _text("cursor", given, default=None)
    try:
        return make_query(
            source_id,
            _integer("start_time", given),
            _integer("end_time", given),
            _integer("limit", given),
            [_envelope_type(text) for text in _values("envelope_types", given)],
            parse_bool("descending", given),
            _text("name_filter", given, default="") or "",
            now_ns=now_ns,
            cursor=cursor,
            wait_s=_seconds("wait", given),
        )
    except BadRequest as refused:
        raise refused_read(refused, is_ours="cursor" in given or bool(last_event_id) or "wait" in given) from refused


def refused_read(refused: BadRequest, *, is_ours: bool) -> Refusal:
    """Answer a read that is refused; `is_ours` says that the original knows no such read."""
    return error(Code.INVALID_ARGUMENT if is_ours else Code.UNKNOWN, str(refused))


def parse_bool(name: str, given: Parameters) -> bool:
    """Read a bool; what is not there is false."""
    text = _text(name, given, default=None)
    if text is None:
        return False
    if text not in _BOOLS:
        raise _unparsable(name, f'strconv.ParseBool: parsing "{text[:_SHOWN]}": invalid syntax')
    return _BOOLS[text]


def first(name: str, given: Parameters) -> str:
    """Return the first value of a parameter of Prometheus; empty without one."""
    return (given.get(name) or ("",))[0]


def _values(name: str, given: Parameters) -> Sequence[str]:
    return [*given.get(name, ()), *given.get(_CAMEL.get(name, ""), ())]


def _text(name: str, given: Parameters, *, default: str | None) -> str | None:
    values = _values(name, given)
    if len(values) > 1:
        shown = ", ".join(values)[:_SHOWN]
        raise error(Code.INVALID_ARGUMENT, f'too many values for field "{name}": {shown}')
    return values[0] if values else default


def _integer(name: str, given: Parameters) -> int:
    text = _text(name, given, default="0") or ""
    if not _INTEGER.fullmatch(text):
        raise _unparsable(name, f'strconv.ParseInt: parsing "{text[:_SHOWN]}": invalid syntax')
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63:
        raise _unparsable(name, f'strconv.ParseInt: parsing "{text}": value out of range')
    return number


def _seconds(name: str, given: Parameters) -> float | None:
    text = _text(name, given, default=None)
    if text is not None and not _SECONDS.fullmatch(text):
        raise _unparsable(name, f'"{text[:_SHOWN]}" is not a number of seconds')
    return None if text is None else float(text)


def _envelope_type(text: str) -> int:
    if text in _TYPES:
        return _TYPES[text]
    if _INTEGER.fullmatch(text) and int(text) in _TYPES.values():
        return int(text)
    raise error(Code.INVALID_ARGUMENT, f'parsing list "envelope_types": "{text[:_SHOWN]}" is not a valid value')


def _unparsable(name: str, reason: str) -> Refusal:
    return error(Code.INVALID_ARGUMENT, f'parsing field "{name}": {reason}')
