"""Where a client's envelopes come from: a feed of its own for a firehose, a tail of the shared one for an app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from plumbing.egress_client import Arrival, Dopplers, Feed
from traffic_controller.app_streams import AppStreams, Tail, Tailed
from traffic_controller.doors import Endpoint, Stream


class Feeds:
    """Opens what a stream asks for. Lives on the island."""

    def __init__(self, dopplers: Dopplers, app_streams: AppStreams) -> None:
        self._dopplers = dopplers
        self._app_streams = app_streams

    def open(self, stream: Stream, relay: Callable[[Arrival | Tailed], Awaitable[None]]) -> Feed | Tail:
        """Make the feed of one client; it reads nothing before it runs."""
        if stream.endpoint is Endpoint.STREAM:
            return self._app_streams.tail(stream.name, relay)
        return Feed(self._dopplers, stream.request, relay)
