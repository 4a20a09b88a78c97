"""Turn a request into a WebSocket, or refuse as the original's library does: the same checks, in the same order."""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus

from traffic_controller.http_messages import Answer, Request, text

_KEY_BYTES = 16


def refuse_upgrade(request: Request) -> Answer | None:
    """Return the answer to a request that is no WebSocket handshake; None if it is one."""
    if "upgrade" not in request.tokens("connection") or "websocket" not in request.tokens("upgrade"):
        return _refusal(HTTPStatus.BAD_REQUEST)
    if request.method != "GET":
        return _refusal(HTTPStatus.METHOD_NOT_ALLOWED)
    if "13" not in request.tokens("sec-websocket-version") or not _is_a_key(request.header("sec-websocket-key")):
        return _refusal(HTTPStatus.BAD_REQUEST)
    return None


def handshake(request: Request) -> bytes:
    """Return the handshake alone, of a request that was let in.

    What else its head holds, such as the token, an origin, extensions or a second opinion on its length, ends here.
    """
    lines = (
        f"GET {request.path} HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {request.header('sec-websocket-key')}",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _refusal(status: HTTPStatus) -> Answer:
    return text(status, f"{status.phrase}\n", (("Sec-Websocket-Version", "13"),))


def _is_a_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.encode("latin-1"), validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False
