"""An HTTPS server in a thread, for fakes that are asked from trio and from asyncio; it can be told to misbehave."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

import orjson

from plumbing.tls import TlsFiles, server_context

Mood: TypeAlias = Literal["well", "down", "slow", "garbage", "failing", "huge", "endless"]

SLOW_S = 60.0
HUGE_BYTES = 1 << 20
ENDLESS_CHUNK = b" " * 4096


@dataclass(frozen=True, slots=True)
class Seen:
    """A request, as it came in; names of headers are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]
    query: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a fake answers; a body that is not bytes is JSON."""

    status: int
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpsServer:
    """Answers over TLS on a loopback port until closed; `client_certs` asks for a certificate of the same CA."""

    def __init__(
        self, certs: Path, answer: Callable[[Seen], Reply], *, leaf: str, client_certs: bool = False, port: int = 0
    ) -> None:
        self.mood: Mood = "well"
        self.requests: list[Seen] = []
        self.closing = threading.Event()
        self.answer = answer
        self._server = _Server(self, port)
        context = server_context(TlsFiles.named(certs, leaf), require_client_cert=client_certs)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Free the port; requests that are being answered slowly end."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, owner: HttpsServer, port: int) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", port), _Handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self.owner.mood != "down"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away, or that showed no certificate."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = SLOW_S

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def log_message(self, *_: Any) -> None:
        """Write no access log."""

    def _handle(self) -> None:
        owner = self.server.owner
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        target = urlsplit(self.path)
        seen = Seen(self.command, target.path, headers, form, target.query)
        owner.requests.append(seen)
        if owner.mood == "endless":
            self._drip(owner.closing)
        else:
            self._send(self._reply(owner, seen))

    def _reply(self, owner: HttpsServer, seen: Seen) -> Reply:
        match owner.mood:
            case "slow":
                owner.closing.wait(SLOW_S)
                return Reply(503)
            case "garbage":
                return Reply(200, b"<html>it works</html>")
            case "huge":
                return Reply(200, b'{"scope":["doppler.firehose"]' + b" " * HUGE_BYTES + b"}")
            case "failing":
                return Reply(500)
            case _:
                return owner.answer(seen)

    def _send(self, reply: Reply) -> None:
        body = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
        self.send_response(reply.status)
        for name, value in {"Set-Cookie": "session=somebody; Path=/", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self, closing: threading.Event) -> None:
        """Send a body that has no end, a little at a time."""
        self.send_response(200)
        self.end_headers()
        while not closing.wait(0.01):
            try:
                self.wfile.write(ENDLESS_CHUNK[:16])
            except (OSError, ssl.SSLError):
                return
