"""The security event log: one line of CEF for each request (loggregator.md 3.1). It never holds a token."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl

import structlog

from plumbing.config import parse_listen
from traffic_controller.http_messages import Request

log = structlog.get_logger(__name__)

_MAX_VALUE = 1024
_SHOWN = frozenset({"filter-type", "limit", "explain"})
_HARMLESS = re.compile(r"[\w-]{0,32}", re.ASCII)
_IN_HEADER = str.maketrans({"\\": r"\\", "|": r"\|", "\n": " ", "\r": " "})
_IN_EXTENSION = str.maketrans({"\\": r"\\", "=": r"\=", "\n": r"\n", "\r": r"\r"})


class AccessLog:
    """The file. A file that was moved away or removed is replaced by a new one at the next line."""

    def __init__(self, path: Path) -> None:
        self.failures = 0
        self._path = path
        self._descriptor = self._open()

    def write(self, line: str) -> None:
        """Append one line, in one piece; a disk that is full costs lines, never a request."""
        try:
            self._follow_rotation()
            os.write(self._descriptor, line.encode("utf-8", "backslashreplace") + b"\n")
        except OSError as error:
            if not self.failures:
                log.warning("access_log_not_written", path=str(self._path), error=error.strerror)
            self.failures += 1

    def close(self) -> None:
        """Write no more."""
        os.close(self._descriptor)
        self._descriptor = -1

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _follow_rotation(self) -> None:
        held = os.fstat(self._descriptor)
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino):
            fresh = self._open()
            os.close(self._descriptor)
            self._descriptor = fresh


def access_line(request: Request, *, remote: str, local: str, now_s: float) -> str:
    """Write the line of one request; `remote` and `local` are the `host:port` of the connection's two ends."""
    line = f"{request.method} {_without_secrets(request)}"
    first_hop = request.header("x-forwarded-for").partition(",")[0].strip()
    source, source_port = split_address(first_hop or remote)
    target, target_port = split_address(local)
    extensions: Mapping[str, str] = {
        "rt": str(int(now_s * 1000)),
        "cs1Label": "userAuthenticationMechanism",
        "cs1": "oauth-access-token",
        "cs2Label": "vcapRequestId",
        "cs2": request.header("x-vcap-request-id"),
        "request": _without_secrets(request),
        "requestMethod": request.method,
        "src": source,
        "spt": source_port,
        "dst": target,
        "dpt": target_port,
    }
    head = "|".join(
        _escape(each, _IN_HEADER)
        for each in ("CEF:0", "cloud_foundry", "loggregator_trafficcontroller", "1.0", line, line, "0")
    )
    return f"{head}|{' '.join(f'{key}={_escape(value, _IN_EXTENSION)}' for key, value in extensions.items())}"


def split_address(address: str) -> tuple[str, str]:
    """Split what a proxy says of a client: an address with or without a port; ("", "") when it is neither."""
    if address.count(":") != 1 and not address.startswith("["):
        return ("", "") if any(each in address for each in " []") else (address, "")
    try:
        host, port = parse_listen(address)
    except ValueError:
        return "", ""
    return host, str(port)


def _without_secrets(request: Request) -> str:
    """Return the target with no more of its query than what a door understands: a client may put a token there."""
    pairs = parse_qsl(request.target.partition("?")[2])
    shown = [f"{name}={value}" for name, value in pairs if name in _SHOWN and _HARMLESS.fullmatch(value)]
    return request.path + (f"?{'&'.join(shown)}" if shown else "")


def _escape(value: str, table: Mapping[int, str]) -> str:
    return value[:_MAX_VALUE].translate(table)
