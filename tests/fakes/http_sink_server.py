"""A sink that speaks HTTP on a loopback port: it keeps what it is sent, and answers as it is told."""

from __future__ import annotations

import gzip
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import orjson
import zstandard

HUNG_S = 60.0


@dataclass(frozen=True, slots=True)
class Posted:
    """A request as it came in; names of headers are lower case, `body` is what was compressed."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    peer: Any

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sink answers; a body that is not bytes is JSON. `half` of it is sent, or it hangs."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    how: Literal["whole", "half", "hang"] = "whole"


Answers: TypeAlias = Callable[[Posted], Answer]


class HttpSinkServer:
    """Answers what is queued in `answers`, one each, and after that what `answer` says."""

    def __init__(self, answer: Answers) -> None:
        self.answer = answer
        self.answers: deque[Answer] = deque()
        self.posted: list[Posted] = []
        self.closing = threading.Event()
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.owner = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def http_sink_server(answer: Answers = lambda _: Answer()) -> Iterator[HttpSinkServer]:
    """Run a sink for the time of the block."""
    sink = HttpSinkServer(answer)
    thread = threading.Thread(target=sink.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        sink.closing.set()
        sink.server.shutdown()
        sink.server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: HttpSinkServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes: the second would wait for the client's late ACK
    server: _Server
    timeout = HUNG_S

    def log_message(self, *_: Any) -> None:
        """Write no access log."""

    def do_POST(self) -> None:
        owner = self.server.owner
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        content = _unpacked(body, headers.get("content-encoding", ""))
        posted = Posted(target.path, dict(parse_qsl(target.query)), headers, content, self.client_address)
        owner.posted.append(posted)
        self._send(owner.answers.popleft() if owner.answers else owner.answer(posted))

    def _send(self, answer: Answer) -> None:
        if answer.how == "hang":
            self.server.owner.closing.wait(HUNG_S)
            self.close_connection = True
            return
        body = answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if answer.how == "half" else body)
        self.close_connection |= answer.how == "half"


def _unpacked(body: bytes, encoding: str) -> bytes:
    match encoding:
        case "gzip":
            return gzip.decompress(body)
        case "zstd":
            return zstandard.decompress(body)
        case "":
            return body
        case other:
            raise AssertionError(f"encoding {other}")


def secret_file(directory: Any, secret: str) -> Any:
    """Write a secret into a file as an operator does."""
    path = directory / "secret"
    path.write_text(f"{secret}\n")
    path.chmod(0o600)
    return path
