"""v1 envelopes as the parts of one body, the way `noaa` takes them apart (loggregator.md 3.1)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from http import HTTPStatus

from traffic_controller.http_messages import Answer

_BOUNDARY_BYTES = 30


def answer_parts(parts: Iterable[bytes]) -> Answer:
    """Answer with raw envelopes, each a part without headers; no part at all is a body of its closing boundary."""
    boundary = secrets.token_hex(_BOUNDARY_BYTES)  # nobody can put it into a log line in advance
    content_type = ("Content-Type", f"multipart/x-protobuf; boundary={boundary}")  # unquoted: clients take it as it is
    return Answer(HTTPStatus.OK, join_parts(parts, boundary), (content_type,))


def join_parts(parts: Iterable[bytes], boundary: str) -> bytes:
    """Write the body."""
    delimiter = f"--{boundary}\r\n\r\n".encode()
    return b"".join(delimiter + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
