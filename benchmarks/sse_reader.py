"""A client of the gateway that asks for everything and counts envelopes in server-sent events."""

from __future__ import annotations

import re
import socket
import threading
import time

from benchmarks.worker import Answer, arguments, client_files, obey
from plumbing.tls import client_context

_CHUNK_BYTES = 256 << 10
_QUERY = "log&counter&gauge&timer&event&shard_id=benchmark"
_ENVELOPE = re.compile(rb'"timestamp":')
_LONGEST = len(b'"timestamp":') - 1


class SseReader:
    """One stream, and what came of it. Envelopes are counted by their timestamps: nothing is parsed."""

    def __init__(self, address: str, token: str, context: object) -> None:
        host, _, port = address.rpartition(":")
        raw = socket.create_connection((host, int(port)), timeout=10)
        self._connection = context.wrap_socket(raw, server_hostname=host)  # type: ignore[attr-defined]
        lines = [f"GET /v2/read?{_QUERY} HTTP/1.1", f"Host: {address}", f"Authorization: bearer {token}"]
        self._connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = self._connection.recv(4096)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(f"refused: {answer!r}")
        self._connection.settimeout(None)
        self._received = 0
        self._last_at = 0.0
        self._error = ""
        threading.Thread(target=self._read, daemon=True).start()

    def progress(self) -> Answer:
        return {"received": [self._received], "last_at": self._last_at, "error": self._error}

    def _read(self) -> None:
        rest = b""
        while chunk := self._connection.recv(_CHUNK_BYTES):
            text = rest + chunk
            found = len(_ENVELOPE.findall(text))
            if found:
                self._received += found
                self._last_at = time.monotonic()
            rest = text[-_LONGEST:]  # too short to hold a whole one
        self._error = "stream ended"


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--token", required=True, help="file that holds the token")
    given = parser.parse_args()
    with open(given.token, encoding="ascii") as file:
        token = file.read().strip()
    obey({"progress": SseReader(given.address, token, client_context(client_files(given.certs).ca)).progress})


if __name__ == "__main__":
    main()
