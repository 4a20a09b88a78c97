"""Consumers of the v1 firehose and of app streams: raw TLS sockets that count WebSocket frames and answer pings."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import statistics
import threading
import time
from array import array

from benchmarks.worker import Answer, arguments, client_files, obey
from envelope import kernel
from envelope.pb.dropsonde_pb2 import Envelope
from plumbing.tls import client_context

_CHUNK_BYTES = 256 << 10
_PING, _PONG, _CLOSE = 0x89, 0x8A, 0x88
_MASKED = 0x80
_NO_MASK = bytes(4)  # masking with zeros changes nothing


class V1Reader:
    """One WebSocket, and what came of it."""

    def __init__(self, connection: ssl.SSLSocket, rest: bytes, *, stamped: bool) -> None:
        self.received = 0
        self.last_at = 0.0
        self.error = ""
        self.delays_ns = array("q")
        self._connection = connection
        self._buffer = rest
        self._stamped = stamped

    def run(self) -> None:
        """Read until the server ends the stream, which it should not."""
        try:
            while chunk := self._connection.recv(_CHUNK_BYTES):
                self._take(chunk)
            self.error = "stream ended"
        except OSError as error:
            self.error = str(error)

    def _take(self, chunk: bytes) -> None:
        buffer = self._buffer + chunk if self._buffer else chunk
        while buffer:
            payloads, used = kernel.ws_payloads(buffer)
            if payloads:
                self.received += len(payloads)
                self.last_at = time.monotonic()
                if self._stamped:
                    self._time(payloads)
            buffer = buffer[used:]
            taken = self._control_frame(buffer)
            if not taken:
                break
            buffer = buffer[taken:]
        self._buffer = buffer

    def _time(self, payloads: list[bytes]) -> None:
        now_ns = time.time_ns()
        self.delays_ns.extend([now_ns - Envelope.FromString(payload).timestamp for payload in payloads])

    def _control_frame(self, buffer: bytes) -> int:
        """Deal with one ping, pong or close at the front of `buffer` and return its length; 0 if there is none."""
        if len(buffer) < 2 or buffer[0] not in (_PING, _PONG, _CLOSE) or len(buffer) < 2 + buffer[1]:
            return 0
        payload = buffer[2 : 2 + buffer[1]]
        if buffer[0] == _PING:
            self._connection.sendall(bytes((_PONG, _MASKED | len(payload))) + _NO_MASK + payload)
        elif buffer[0] == _CLOSE:
            self.error = f"closed by the server: {payload!r}"
        return 2 + len(payload)


def connect(address: str, path: str, token: str, context: ssl.SSLContext, *, stamped: bool) -> V1Reader:
    """Open a WebSocket."""
    host, _, port = address.rpartition(":")
    connection = context.wrap_socket(socket.create_connection((host, int(port)), timeout=10), server_hostname=host)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {address}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        f"Authorization: bearer {token}",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        chunk = connection.recv(4096)
        if not chunk:
            raise ConnectionError(f"no answer to {path}: {answer!r}")
        answer += chunk
    head, _, rest = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101 "):
        raise ConnectionError(f"{path} was refused: {answer!r}")
    connection.settimeout(None)
    return V1Reader(connection, rest, stamped=stamped)


class Readers:
    """Several WebSockets of one traffic controller, a thread each; the first is the one that is timed."""

    def __init__(self, readers: list[V1Reader]) -> None:
        self._readers = readers
        for reader in readers:
            threading.Thread(target=reader.run, daemon=True).start()

    def progress(self) -> Answer:
        return {
            "received": [reader.received for reader in self._readers],
            "last_at": self._readers[0].last_at,
            "error": next((reader.error for reader in self._readers if reader.error), ""),
        }

    def forget_delays(self) -> Answer:
        """Begin to measure: what came so far was warming up."""
        self._readers[0].delays_ns = array("q")
        return {}

    def delays(self) -> Answer:
        """Say how long envelopes took from their sender to here, in milliseconds."""
        delays_ms = [delay / 1e6 for delay in self._readers[0].delays_ns]
        percentiles = statistics.quantiles(delays_ms, n=1000, method="inclusive")
        return {
            "envelopes": len(delays_ms),
            "p50_ms": round(percentiles[499], 2),
            "p99_ms": round(percentiles[989], 2),
            "p999_ms": round(percentiles[998], 2),
            "max_ms": round(max(delays_ms), 2),
        }


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--token", required=True, help="file that holds the token")
    parser.add_argument("--stamped", action="store_true", help="timestamps are times of sending: take the difference")
    parser.add_argument("path", nargs="+", help="like /firehose/benchmark")
    given = parser.parse_args()
    with open(given.token, encoding="ascii") as file:
        token = file.read().strip()
    context = client_context(client_files(given.certs).ca)
    opened = [connect(given.address, path, token, context, stamped=given.stamped) for path in given.path]
    readers = Readers(opened)
    obey({"progress": readers.progress, "forget_delays": readers.forget_delays, "delays": readers.delays})


if __name__ == "__main__":
    main()
