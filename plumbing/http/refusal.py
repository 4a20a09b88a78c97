"""An answer that is no: raised wherever a request turns out not to be answered, sent by the door. No I/O."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):
    """A request that is not answered as it wishes: send `status`, `headers` and `body`, which is JSON by itself."""

    def __init__(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body.decode()}".strip())
        self.status = status
        self.body = body
        self.headers = headers or ({"Content-Type": "application/json"} if body else {})
