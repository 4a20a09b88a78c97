"""Tags as subscribers of a reverse log proxy ask for them, whoever sends (loggregator.md 2.2)."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from envelope.pb import loggregator_v2_pb2 as v2
from tests.fakes.original_router import original_router
from tests.running import in_thread
from tests.running_proxy import METHODS, Proxy, log, proxy_at, read_envelopes


def value(**of: Any) -> v2.Value:
    return v2.Value(**of)


MIXED = log(
    b"mixed",
    tags={"clash": "new", "only": "tags"},
    deprecated_tags={
        "clash": value(text="old"),
        "integer": value(integer=-7),
        "decimal": value(decimal=0.5),
        "large": value(decimal=1e21),
        "nothing": value(),
    },
)
PREFERRED = {"clash": "old", "only": "tags", "integer": "-7", "decimal": "0.5", "large": "1e+21"}


@pytest.mark.parametrize("method", METHODS)
async def test_an_original_routers_tags_become_preferred_ones_and_the_deprecated_win(
    certs_dir: Path, method: str
) -> None:
    with original_router(certs_dir) as router:
        async with proxy_at(certs_dir, [], router.address) as proxy:
            stream = await in_thread(partial(proxy.open, method, use_preferred_tags=True))
            router.send(MIXED)

            (envelope,) = await in_thread(read_envelopes, stream, 1)

            stream.cancel()
    assert not envelope.deprecated_tags
    assert PREFERRED.items() <= dict(envelope.tags).items()


@pytest.mark.parametrize("method", METHODS)
async def test_an_original_routers_tags_become_deprecated_texts_where_these_are_asked_for(
    certs_dir: Path, method: str
) -> None:
    with original_router(certs_dir) as router:
        async with proxy_at(certs_dir, [], router.address) as proxy:
            stream = await in_thread(partial(proxy.open, method, use_preferred_tags=False))
            router.send(MIXED)

            (envelope,) = await in_thread(read_envelopes, stream, 1)

            stream.cancel()
    assert not envelope.tags
    assert envelope.deprecated_tags["only"] == value(text="tags")


@pytest.mark.parametrize("preferred", [True, False])
async def test_tags_come_in_the_form_asked_for(proxy: Proxy, preferred: bool) -> None:
    stream = await in_thread(partial(proxy.open, use_preferred_tags=preferred))
    await proxy.readers_are(1)

    await proxy.send(log(b"x", tags={"a": "1"}, deprecated_tags={"b": value(integer=2)}))

    (envelope,) = await in_thread(read_envelopes, stream, 1)
    found = dict(envelope.tags), dict(envelope.deprecated_tags)
    assert found == (({"a": "1", "b": "2"}, {}) if preferred else ({}, {"a": value(text="1"), "b": value(integer=2)}))
    stream.cancel()
