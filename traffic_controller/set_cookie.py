"""Hand a client back the cookie it asks for, such as its token: what `/set-cookie` does (loggregator.md 3.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from urllib.parse import parse_qs

from traffic_controller.http_messages import Answer, Request

_WITH_A_FORM = ("POST", "PUT", "PATCH")
_FORM = "application/x-www-form-urlencoded"
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[ !#-:<-\[\]-~]+")
_QUOTED = frozenset(" ,")


def set_cookie(request: Request, body: bytes, system_domain: str) -> Answer:
    """Answer with the cookie; 400 if name or value is missing, or holds what would not stay inside a cookie.

    Without a system domain the cookie is for whatever host the client called.
    """
    form = _form(request, body)
    name, value = form.get("CookieName", [""])[0], form.get("CookieValue", [""])[0]
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        return Answer(HTTPStatus.BAD_REQUEST)
    value = f'"{value}"' if _QUOTED & set(value) else value
    domain = f"; Domain=doppler.{system_domain}" if system_domain else ""
    cookie = f"{name}={value}{domain}; Secure; HttpOnly; SameSite=Lax"
    return Answer(HTTPStatus.OK, headers=(("Set-Cookie", cookie),))


def _form(request: Request, body: bytes) -> Mapping[str, Sequence[str]]:
    """Return the fields of the body before those of the query, as Go's `FormValue` looks for them."""
    fields = parse_qs(request.target.partition("?")[2], keep_blank_values=True)
    if request.method in _WITH_A_FORM and request.header("content-type").partition(";")[0].strip().lower() == _FORM:
        fields |= parse_qs(body.decode("latin-1"), keep_blank_values=True)
    return fields
