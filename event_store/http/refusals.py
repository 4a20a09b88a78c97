"""Every answer that is a refusal: `{"error": {"code", "message", "column"?, "suggestion"?}}`. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import orjson

from plumbing.http.refusal import Refusal

Code = Literal[
    "syntax", "unauthorized", "forbidden", "not_found", "too_large", "timeout", "cancelled", "busy", "internal"
]

STATUS: Mapping[Code, int] = {
    "syntax": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "too_large": 413,
    "timeout": 504,
    "cancelled": 499,
    "busy": 429,
    "internal": 500,
}
"""What each code is in HTTP, where nothing else is said."""

_CODES: Mapping[int, Code] = {408: "timeout", 413: "too_large"}


def error_body(code: Code, message: str, *, column: int | None = None, suggestion: str = "") -> dict[str, Any]:
    """Return what is said, as it stands in JSON; `column` counts the characters of the query from 1."""
    said: dict[str, Any] = {"code": code, "message": message.encode("utf-8", "replace").decode()}
    if column is not None:
        said["column"] = column
    if suggestion:
        said["suggestion"] = suggestion
    return {"error": said}


class ApiError(Refusal):
    """A refusal that can also be said in the middle of an answer: `said` is its JSON."""

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        column: int | None = None,
        suggestion: str = "",
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.said = error_body(code, message, column=column, suggestion=suggestion)
        body = orjson.dumps(self.said) + b"\n"
        super().__init__(status or STATUS[code], body, {"Content-Type": "application/json", **(headers or {})})


def wrong(name: str, reason: str) -> ApiError:
    """Refuse a parameter, and say which."""
    return ApiError("syntax", f"{name}: {reason}")


def bad_body(status: int, reason: str) -> ApiError:
    """Refuse a body, of which the rest may still be on its way."""
    return ApiError(_CODES.get(status, "syntax"), reason, status=status, headers={"Connection": "close"})


def unauthorized() -> ApiError:
    """Say that there is no token, or none that is good."""
    return ApiError(
        "unauthorized",
        "this needs a token that may read something here: Authorization: Bearer TOKEN",
        headers={"WWW-Authenticate": "Bearer"},
    )


def forbidden() -> ApiError:
    """Say that a good token is not an administrator's."""
    return ApiError("forbidden", "this is for administrators")


def no_such_path() -> ApiError:
    """Say that there is nothing here."""
    return ApiError("not_found", "there is nothing at this path; /api/openapi.json says what there is")


def no_such_method(allowed: Collection[str]) -> ApiError:
    """Say which methods there are."""
    methods = ", ".join(allowed)
    return ApiError("not_found", f"this path takes {methods}", status=405, headers={"Allow": methods})


def busy(what: str) -> ApiError:
    """Say that there is no more room for another at the moment."""
    return ApiError("busy", f"{what}; try again in a moment", headers={"Retry-After": "1"})
