"""Connect to a drain at an address that was looked at: what its name says may have changed since it was validated.

In:    the host of a drain. Out: a connection to an address of it that is allowed; TLS still goes by the name.
"""

from __future__ import annotations

import ssl
from typing import Any

import httpx
import trio

from syslog_adapter.addresses import Addresses

_REMEMBERED_S = 30.0


async def dial(host: str, port: int, addresses: Addresses, within_s: float) -> trio.SocketStream:
    """Open a TCP connection, to one address after the other, each with its share of the time; raises `OSError`."""
    if not addresses:
        return await trio.open_tcp_stream(host, port)
    found = await addresses.of(host)
    failure = OSError(0, "does not answer")
    for address in found:
        try:
            with trio.move_on_after(within_s / len(found)):
                return await trio.open_tcp_stream(address, port)
        except OSError as error:
            failure = error
    raise failure


class CheckedTransport(httpx.AsyncHTTPTransport):
    """Sends the requests to one host to addresses of it that are allowed; it looks again every half minute."""

    def __init__(self, addresses: Addresses, verify: ssl.SSLContext, **settings: Any) -> None:
        super().__init__(verify=verify, trust_env=False, **settings)
        self._addresses = addresses
        self._found: tuple[str, ...] = ()
        self._until = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, whose `Host` and server name stay those of its URL, to the first address that is there."""
        url, failure = request.url, httpx.ConnectError("does not answer")
        host = url.raw_host.decode("ascii")  # beyond ASCII, `ssl` would make another name of it than was looked up
        request.extensions = {**request.extensions, "sni_hostname": host}
        for address in await self._find(host):
            request.url = url.copy_with(host=address)
            try:
                return await super().handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure, self._until = httpx.ConnectError(str(error)), 0.0
                failure.__cause__ = error
        raise failure

    async def _find(self, host: str) -> tuple[str, ...]:
        if trio.current_time() >= self._until:
            try:
                self._found = await self._addresses.of(host)
            except (OSError, UnicodeError) as error:
                raise httpx.ConnectError(str(error)) from error
            self._until = trio.current_time() + _REMEMBERED_S
        return self._found
