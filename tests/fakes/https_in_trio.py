"""An HTTPS server in the loop of the test, for fakes that answer when they like, stream, or hang up."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TypeAlias

import h11
import httpx
import trio

from plumbing.tls import TlsFiles, server_context

Answer: TypeAlias = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Cut(Exception):
    """The connection ends here; raised by whoever answers."""


@asynccontextmanager
async def serving_https(files: TlsFiles, answer: Answer) -> AsyncIterator[str]:
    """Serve on a free port for the time of the block; yields the address. A body that streams is sent as it comes."""
    context = server_context(files, require_client_cert=False)
    serve_one = partial(_serve_one, answer)
    async with trio.open_nursery() as nursery:
        start = partial(trio.serve_ssl_over_tcp, serve_one, 0, context, host="127.0.0.1", https_compatible=True)
        [listener] = await nursery.start(start)
        yield f"127.0.0.1:{listener.transport_listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def _serve_one(answer: Answer, stream: trio.SSLStream[trio.SocketStream]) -> None:
    connection = h11.Connection(h11.SERVER)
    try:
        while connection.our_state is not h11.MUST_CLOSE:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive_some(65536))
            elif isinstance(event, h11.Request):
                url = f"https://127.0.0.1{event.target.decode()}"
                response = await answer(httpx.Request("GET", url, headers=list(event.headers)))
            elif isinstance(event, h11.EndOfMessage):
                await _send(connection, stream, response)
                if connection.our_state is h11.DONE:
                    connection.start_next_cycle()
            else:
                return
    except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError, Cut):
        await trio.aclose_forcefully(stream)


async def _send(connection: h11.Connection, stream: trio.abc.SendStream, response: httpx.Response) -> None:
    async def send(event: h11.Event) -> None:
        await stream.send_all(connection.send(event) or b"")

    await send(h11.Response(status_code=response.status_code, headers=list(response.headers.raw)))
    if response.is_closed:
        await send(h11.Data(data=response.content))
    else:
        async with aclosing(response.aiter_raw()) as chunks:
            async for chunk in chunks:
                await send(h11.Data(data=chunk))
    await send(h11.EndOfMessage())
