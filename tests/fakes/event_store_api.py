"""An event store that holds a list of events: the real page, and its API over HTTP or TLS on a loopback port."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from event_store.http.page import PAGE, page_file
from event_store.query.parse import parse
from event_store.query.syntax import QuerySyntaxError
from plumbing.tls import TlsFiles, server_context
from tests.fakes.event_answers import Question
from tests.fakes.event_filter import Event, holds

_QUESTIONS = {"/api/timeseries": Question.timeseries, "/api/facets": Question.facets, "/api/fields": Question.fields}
_HEARTBEAT_S = 0.5
_PATIENCE_S = 20.0


class FakeEventStore:
    """Answers until closed. `requests` are the paths and parameters it was asked, the page's files left out."""

    def __init__(self, events: Sequence[Event], *, token: str, certs: Path | None = None) -> None:
        self.events = list(events)
        self.token = token
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.failing: set[str] = set()
        """Paths whose questions take too long from now on."""
        self.may_answer = threading.Event()
        """While it is not set, answers of queries wait, with what there was when they were asked."""
        self.may_answer.set()
        self.tails: list[queue.SimpleQueue[tuple[str, Any]]] = []
        self.tells_all = True
        """Whether whoever asks may read everything: others are not told what was scanned."""
        self.closing = threading.Event()
        self._server = _Server(self)
        if certs:
            context = server_context(TlsFiles.named(certs, "event-store"), require_client_cert=False)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{'https' if certs else 'http'}://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def add(self, event: Event) -> None:
        """Take a new event: whoever follows gets it."""
        self.events.append(event)
        self._tell("event", (len(self.events), event))

    def drop(self, count: int) -> None:
        """Tell those who follow that they missed some."""
        self._tell("dropped", {"count": count})

    def cut(self) -> None:
        """Break off every tail, once it has been sent what was added before."""
        self._tell("cut", None)

    def close(self) -> None:
        """End every tail, and free the port."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _tell(self, name: str, data: Any) -> None:
        for tail in self.tails:
            tail.put((name, data))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: FakeEventStore) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        if target.path == "/" or target.path.startswith("/static/"):
            self._send_file(target.path.removeprefix("/static/") if target.path != "/" else PAGE)
        else:
            self._answer(target.path, dict(parse_qsl(target.query, keep_blank_values=True)))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer(urlsplit(self.path).path, dict(parse_qsl(body, keep_blank_values=True)))

    def log_message(self, *_: Any) -> None:
        """Write no access log."""

    def _send_file(self, name: str) -> None:
        file = page_file(name)
        if file is None:
            self._refuse(404, "not_found", "no such file")
        else:
            self._send(200, file.body, file.content_type, file.headers)

    def _answer(self, path: str, parameters: Mapping[str, str]) -> None:
        owner = self.server.owner
        if self.headers["Authorization"] != f"Bearer {owner.token}":
            self._refuse(401, "unauthorized", "this needs a token")
            return
        owner.requests.append((path, parameters))
        events = list(owner.events)
        if path == "/api/query":
            owner.may_answer.wait(_PATIENCE_S)
        if path in owner.failing:
            self._refuse(504, "timeout", "it took longer than 10 s")
            return
        try:
            if path == "/api/tail":
                self._follow(parameters)
            elif path == "/api/query":
                self._send_query(Question(parameters, events, time.time_ns()))
            else:
                self._send_json(200, _QUESTIONS[path](Question(parameters, events, time.time_ns())))
        except QuerySyntaxError as error:
            more = {"column": error.column, "suggestion": error.suggestion}
            self._refuse(400, "syntax", error.message, **more)

    def _send_query(self, question: Question) -> None:
        answer = question.query_answer()
        if not self.server.owner.tells_all:
            answer["stats"] = {"elapsed_ms": answer["stats"]["elapsed_ms"]}
        lines = [{"progress": {"done": 0.4, "rows_scanned": 1}}, {"result": answer}]
        if "progress" in question.parameters:
            self._send(200, b"".join(orjson.dumps(line) + b"\n" for line in lines), "application/x-ndjson")
        else:
            self._send_json(200, answer)

    def _follow(self, parameters: Mapping[str, str]) -> None:
        owner, wanted = self.server.owner, parse(parameters["query"], time.time_ns()).filter
        told: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        owner.tails.append(told)
        place = int(self.headers["Last-Event-ID"] or len(owner.events))
        begins = place if place <= len(owner.events) else 0  # that was another store's
        for at in range(begins, len(owner.events)):
            told.put(("event", (at + 1, owner.events[at])))
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"id: %d\n\n" % begins)
            while not owner.closing.is_set():
                lines = _next_lines(told, wanted)
                if lines is None:
                    break
                self.wfile.write(lines)
        finally:
            owner.tails.remove(told)

    def _refuse(self, status: int, code: str, message: str, **more: Any) -> None:
        self._send_json(status, {"error": {"code": code, "message": message, **more}})

    def _send_json(self, status: int, answer: Any) -> None:
        self._send(status, orjson.dumps(answer), "application/json")

    def _send(self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Type": content_type, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _next_lines(told: queue.SimpleQueue[tuple[str, Any]], wanted: Any) -> bytes | None:
    try:
        name, data = told.get(timeout=_HEARTBEAT_S)
    except queue.Empty:
        return b": here\n\n"
    if name == "cut":
        return None
    if name == "dropped":
        return b"event: dropped\ndata: %s\n\n" % orjson.dumps(data)
    place, event = data
    said = b"event: event\ndata: %s\n" % orjson.dumps(event) if holds(wanted, event) else b""
    return b"id: %d\n%s\n" % (place, said)
