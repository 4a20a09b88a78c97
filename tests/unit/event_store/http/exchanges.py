"""A request to the store's door without a socket: what is sent back is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import trio

from plumbing.http.exchange import Exchange
from tests.fakes.http_connection import FakeConnection


class Visit:
    """One request; a client that stays until `leave`."""

    def __init__(
        self,
        path: str,
        *,
        method: str = "GET",
        query: str = "",
        token: str | None = "admin",
        body: bytes = b"",
        **headers: str,
    ) -> None:
        self.connection = FakeConnection()
        self.messages: list[Any] = []
        self.left = trio.Event()
        self._requests = [{"type": "http.request", "body": body, "more_body": False}]
        shown = {**({"authorization": f"Bearer {token}"} if token else {}), **headers}
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "http_version": "1.1",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in shown.items()],
            "client": ("127.0.0.1", 1),
            "state": {"connection": self.connection},
        }

    async def receive(self) -> Any:
        if self._requests:
            return self._requests.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.messages.append(message)

    @property
    def exchange(self) -> Exchange:
        """The request, for what answers one."""
        return Exchange(self.scope, self.receive, self.send)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def is_whole(self) -> bool:
        """Whether the answer has ended in good order."""
        last = self.messages[-1]
        return bool(last["type"] == "http.response.body" and not last.get("more_body"))

    @property
    def lines(self) -> list[Any]:
        return [orjson.loads(line) for line in self.body.splitlines()]
