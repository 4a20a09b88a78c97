"""The parameters of a request, and what they mean. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

import orjson

from event_store.http.refusals import bad_body, wrong
from event_store.http.routes import Route
from event_store.query.times import parse_duration, parse_time

MAX_PARAMETERS = 50
MAX_NAME = 500
"""Characters of the name of a field."""

_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False, "": False}
_SHOWN = 60  # characters of a wrong value

Given = Mapping[str, str]
"""Each parameter that was given, and that the route knows."""


def read(route: Route, query_string: bytes, body: bytes = b"", content_type: str = "") -> Given:
    """Read what was given, in the query or in a form or an object of JSON; a `Refusal` says what is wrong with it."""
    given = _pairs(query_string)
    if body:
        given |= _of_body(body, content_type.partition(";")[0].strip().lower())
    known = [parameter.name for parameter in route.parameters]
    for name in given:
        if name not in known:
            raise wrong(name[:_SHOWN], f"no such parameter; there are {', '.join(known) or 'none'}")
    for parameter in route.parameters:
        if parameter.required and not given.get(parameter.name):
            raise wrong(parameter.name, "is missing")
    return given


def whole(given: Given, name: str, default: int, most: int) -> int:
    """Return a number from 1 to `most`; more than that is `most`."""
    text = given.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 19 and int(text) > 0):
        raise wrong(name, f"{text[:_SHOWN]!r} is no number from 1 on")
    return min(int(text), most)


def flag(given: Given, name: str) -> bool:
    """Return a boolean; what was not given is false."""
    text = given.get(name, "")
    if text not in _BOOLEANS:
        raise wrong(name, f"{text[:_SHOWN]!r} is neither true nor false")
    return _BOOLEANS[text]


def choice(given: Given, name: str, choices: tuple[str, ...]) -> str:
    """Return one of the choices, the first of them by default."""
    text = given.get(name) or choices[0]
    if text not in choices:
        raise wrong(name, f"{text[:_SHOWN]!r} is none of {', '.join(choices)}")
    return text


def moment(given: Given, name: str, now_ns: int) -> int | None:
    """Return a time in nanoseconds since 1970."""
    text = given.get(name, "")
    try:
        return parse_time(text, now_ns) if text else None
    except ValueError as error:
        raise wrong(name, str(error)) from None


def duration(given: Given, name: str) -> int | None:
    """Return a duration in nanoseconds."""
    text = given.get(name, "")
    try:
        return parse_duration(text) if text else None
    except ValueError as error:
        raise wrong(name, str(error)) from None


def field(given: Given, name: str) -> str:
    """Return the name of a field; empty if none was given."""
    text = given.get(name, "")
    if len(text) > MAX_NAME or "\0" in text:
        raise wrong(name, "is no name of a field")
    return text


def _pairs(text: bytes) -> dict[str, str]:
    try:
        found = parse_qs(text.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError:
        raise wrong("parameters", f"no more than {MAX_PARAMETERS} of them, percent-encoded UTF-8") from None
    for name, values in found.items():
        if len(values) > 1:
            raise wrong(name[:_SHOWN], "was given twice")
    return {name: values[0] for name, values in found.items()}


def _of_body(body: bytes, content_type: str) -> dict[str, str]:
    if content_type == _FORM:
        return _pairs(body)
    if content_type != _JSON:
        raise bad_body(415, f"the body is neither {_FORM} nor {_JSON}")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_body(400, f"the body is no JSON: {error}") from None
    if not isinstance(found, dict) or len(found) > MAX_PARAMETERS:
        raise bad_body(400, "the body is no JSON object of parameters")
    return {name: _as_text(name, value) for name, value in found.items() if value is not None}


def _as_text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    raise wrong(name[:_SHOWN], "is neither text nor a number")
