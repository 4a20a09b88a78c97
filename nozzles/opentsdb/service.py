"""Open a way to an OpenTSDB, over telnet or HTTP.

In:    counters, gauges and (if wished) timers.
Out:   points, each a line or an entry of a JSON request.
Drops: what OpenTSDB refuses, numbers it has none for, lines too long for it: all counted. Logs and events have no
       points and are skipped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from nozzles.http_sink import open_http
from nozzles.opentsdb.config import Config
from nozzles.opentsdb.http import Http
from nozzles.opentsdb.telnet import Telnet
from nozzles.sdk import Write
from plumbing.config import parse_listen


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Connect; raises `OSError` or `trio.TooSlowError` when a telnet peer cannot be reached."""
    if config.transport == "http" and config.http is not None:
        async with open_http(config.http) as sink:
            yield Http(sink, config).write
    elif config.address is not None:
        host, port = parse_listen(config.address)
        with trio.fail_after(config.timeout_s):
            stream = await trio.open_tcp_stream(host, port)
        async with stream:
            yield Telnet(stream, config).write
