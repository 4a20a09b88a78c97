"""What stands on either side of an HTTP exchange in tests: a request that came in, and a client that may leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import trio

from plumbing.http.exchange import Exchange
from tests.fakes.http_connection import FakeConnection


class Visitor:
    """A client over one connection: what it sends, what it was told, and when it leaves."""

    def __init__(self, *bodies: bytes, headers: Mapping[str, str] | None = None, **scope: Any) -> None:
        self.connection = FakeConnection()
        self.told: list[Any] = []
        self.gone = trio.Event()
        self._incoming = [{"type": "http.request", "body": body, "more_body": True} for body in bodies]
        self._incoming.append({"type": "http.request", "body": b"", "more_body": False})
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "raw_path": b"/a/path",
            "query_string": b"",
            "http_version": "1.1",
            "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
            "client": ("192.0.2.1", 99),
            "state": {"connection": self.connection},
            **scope,
        }

    async def receive(self) -> Any:
        if self._incoming:
            return self._incoming.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append(message)

    def exchange(self, **more: Any) -> Exchange:
        return Exchange(self.scope, self.receive, self.send, **more)

    @property
    def status(self) -> int:
        return int(self.told[0]["status"]) if self.told else 0

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.told[0]["headers"])
