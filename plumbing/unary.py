"""Answer questions over gRPC, one answer each: the other side of `plumbing.unary_client`. Lives on the island."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import grpc

from plumbing.egress_server import RequestRefused
from plumbing.grpc_server import Method

_MAX_REASON = 1_000  # characters: a reason travels in headers, and those have a bound of gRPC's own


class Call:
    """What came with a question, and what goes with its answer, beside the messages."""

    def __init__(self, context: grpc.aio.ServicerContext) -> None:
        self._context = context
        self._trailing: list[tuple[str, str]] = []

    def metadata(self, name: str) -> str | None:
        """Return the text that the client sent under a name, the last one if there are several."""
        found = None
        for key, value in self._context.invocation_metadata() or ():
            if key == name and isinstance(value, str):
                found = value
        return found

    def trail(self, name: str, value: str) -> None:
        """Send a text behind the answer; `value` is printable ASCII."""
        self._trailing.append((name, value))
        self._context.set_trailing_metadata(tuple(self._trailing))


Handler: TypeAlias = Callable[[bytes, Call], Awaitable[bytes]]


def answered(handle: Handler) -> Method:
    """Serve a method by a function of the question; what it raises of `RequestRefused` is the answer then."""

    async def serve(message: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            return await handle(message, Call(context))
        except RequestRefused as error:
            refusal = error
        await context.abort(getattr(grpc.StatusCode, refusal.code), str(refusal)[:_MAX_REASON])
        return b""  # never: abort raises

    return Method(unary=serve)
