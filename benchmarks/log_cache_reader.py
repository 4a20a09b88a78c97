"""A client of a log cache's REST interface: asks again and again, or follows a source, and takes the time."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import quote

from benchmarks.worker import Answer, arguments, client_files, obey
from plumbing.tls import client_context

_TIMEOUT_S = 30


class Client:
    """One connection, kept open."""

    def __init__(self, address: str, token: str, certs: Any) -> None:
        self._address = address
        self._headers = {"Authorization": f"bearer {token}"}
        self._context = client_context(client_files(certs).ca)
        self._connection = self._connect()
        self._delays: list[float] = []
        self._followed = 0
        self._error = ""

    def ask(self, path: str, times: int, pause_s: float = 0.0) -> Answer:
        """Ask so many times and say how long it took to have the whole answer, in milliseconds."""
        took = []
        size = 0
        for _ in range(times):
            began = time.perf_counter()
            status, body = self._get(path)
            took.append(time.perf_counter() - began)
            size = len(body)
            if status != http.client.OK:
                return {"error": f"{path}: {status} {body[:200]!r}"}
            time.sleep(pause_s)
        return {"bytes": size, **_percentiles(took)}

    def follow(self, source: str) -> Answer:
        """Follow a source from now on; returns once the stream is open."""
        opened = threading.Event()
        threading.Thread(target=self._follow, args=(source, opened), daemon=True).start()
        return {} if opened.wait(_TIMEOUT_S) else {"error": "the stream did not open"}

    def delays(self) -> Answer:
        """Say how old envelopes were when they had been read, in milliseconds."""
        return {"followed": self._followed, "error": self._error, **_percentiles(self._delays)}

    def _get(self, path: str) -> tuple[int, bytes]:
        try:
            return self._once(path)
        except (http.client.HTTPException, OSError):  # the server ends a connection now and then
            self._connection = self._connect()
            return self._once(path)

    def _once(self, path: str) -> tuple[int, bytes]:
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _connect(self) -> http.client.HTTPSConnection:
        host, _, port = self._address.rpartition(":")
        return http.client.HTTPSConnection(host, int(port), context=self._context, timeout=_TIMEOUT_S)

    def _follow(self, source: str, opened: threading.Event) -> None:
        connection = self._connect()
        headers = {**self._headers, "Accept": "text/event-stream"}
        connection.request("GET", f"/api/v1/read/{quote(source, safe='')}?limit=1000", headers=headers)
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            self._error = f"status {answer.status}"
        opened.set()
        while line := answer.readline():
            if line.startswith(b"data: {"):
                now_ns = time.time_ns()
                batch = json.loads(line[6:]).get("batch", [])
                self._followed += len(batch)
                self._delays += [(now_ns - int(envelope["timestamp"])) / 1e9 for envelope in batch]
        self._error = self._error or "stream ended"


def _percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]
    return {
        f"p{percent}_ms": round(1000 * ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 2)
        for percent in (50, 99)
    }


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--token", required=True, help="file that holds the token")
    given = parser.parse_args()
    with open(given.token, encoding="ascii") as file:
        token = file.read().strip()
    client = Client(given.address, token, given.certs)
    obey({"ask": client.ask, "follow": client.follow, "delays": client.delays})


if __name__ == "__main__":
    main()
