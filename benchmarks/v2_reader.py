"""A v2 subscriber of everything, as the original's clients are: it reads batches, acknowledges nothing, and counts."""

from __future__ import annotations

import time
from typing import Any

import grpc

from benchmarks.worker import Answer, Loop, arguments, client_files, obey
from envelope import kernel
from envelope.kinds import Kind
from envelope.selectors import make_request
from plumbing.egress_client import BATCHED_RECEIVER
from plumbing.grpc_client import connected, open_channel


class V2Reader:
    """One stream, and what came of it."""

    def __init__(self) -> None:
        self._received = 0
        self._last_at = 0.0
        self._error = ""
        self._loop = Loop()

    def open(self, address: str, server_name: str, certs: Any) -> None:
        self._loop.run(self._open(address, server_name, certs))
        self._loop.start(self._read(), self._failed)

    def progress(self) -> Answer:
        return {"received": [self._received], "last_at": self._last_at, "error": self._error}

    async def _open(self, address: str, server_name: str, certs: Any) -> None:
        channel = open_channel(address, client_files(certs), server_name)
        await connected(channel, address)
        self._channel = channel  # a channel nobody holds is closed
        request = make_request(Kind.TYPED, shard_id="benchmark")
        self._call = channel.unary_stream(BATCHED_RECEIVER)(request)
        await self._call.initial_metadata()

    async def _read(self) -> None:
        read, count = self._call.read, kernel.count
        while (message := await read()) is not grpc.aio.EOF:
            self._received += count(message)
            self._last_at = time.monotonic()
        self._failed("stream ended")

    def _failed(self, error: str) -> None:
        self._error = self._error or error


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--server-name", required=True, help="name in the server's certificate")
    given = parser.parse_args()
    reader = V2Reader()
    reader.open(given.address, given.server_name, given.certs)
    obey({"progress": reader.progress})


if __name__ == "__main__":
    main()
