"""Answer questions over gRPC, one answer each: the other side of `plumbing.unary_client`. Lives on the island."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc

from plumbing.egress_server import RequestRefused
from plumbing.grpc_server import Method

_SMALL_BYTES = 64 << 10  # less than this is sent at once, or waits in the connection's own buffers
_TOO_MUCH_WAITS = "too much waits to be sent to clients that take their time"
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


class Unsent:
    """How many bytes of answers wait for clients to take them, of all clients together, and how many may."""

    def __init__(self, most_bytes: int) -> None:
        self.held_bytes = 0
        self._most_bytes = most_bytes

    def hold(self, size: int, call: asyncio.Task[Any]) -> bool:
        """Count an answer until its call ends, taken or not; False for one too many.

        The first is let through whatever its size. (The context of a call tells of its end too, but whoever asks it
        makes a cycle with the call in it, and with that its messages, until garbage is collected.)
        """
        if self.held_bytes and self.held_bytes + size > self._most_bytes:
            return False
        self.held_bytes += size
        call.add_done_callback(lambda _: self._let_go(size))
        return True

    def _let_go(self, size: int) -> None:
        self.held_bytes -= size


Handler: TypeAlias = Callable[[bytes, Call], Awaitable[bytes]]


def answered(handle: Handler, unsent: Unsent | None = None) -> Method:
    """Serve a method by a function of the question; what it raises of `RequestRefused` is the answer then.

    With `unsent`, large answers count against that bound.
    """

    async def serve(message: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            answer = await handle(message, Call(context))
        except RequestRefused as error:
            code, reason = error.code, str(error)[:_MAX_REASON]
        else:
            call = asyncio.current_task()  # of gRPC's, which goes on until the answer is sent
            if unsent is None or call is None or len(answer) <= _SMALL_BYTES or unsent.hold(len(answer), call):
                return answer
            del answer
            code, reason = "RESOURCE_EXHAUSTED", _TOO_MUCH_WAITS
        await context.abort(getattr(grpc.StatusCode, code), reason)
        return b""  # never: abort raises

    return Method(unary=serve)
