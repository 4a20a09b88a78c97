"""A firehose has a feed of its own; an app's stream is a tail of the one that all of them share."""

import asyncio
import random
from pathlib import Path

from envelope.kinds import Keep
from plumbing.diode import SharedDiode
from plumbing.egress_client import Dopplers, Feed
from plumbing.tls import TlsFiles
from traffic_controller.app_streams import AppStreams, Tail
from traffic_controller.doors import Endpoint, Stream
from traffic_controller.feeds import Feeds


def stream(endpoint: Endpoint) -> Stream:
    return Stream(endpoint=endpoint, name="n", request=b"", keep=Keep.ALL, explain=False)


def test_each_endpoint_has_its_kind_of_feed() -> None:
    async def scenario() -> None:
        dopplers = Dopplers([], TlsFiles.named(Path("nowhere"), "none"), random.Random(1))
        feeds = Feeds(dopplers, AppStreams(dopplers, lambda: SharedDiode(10, 1000)))

        async def relay(_: object) -> None: ...

        assert isinstance(feeds.open(stream(Endpoint.FIREHOSE), relay), Feed)
        assert isinstance(feeds.open(stream(Endpoint.STREAM), relay), Tail)

    asyncio.run(scenario())
