"""The end of a reverse log proxy, as its subscribers and its dopplers see it."""

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.running import accounts, dial, in_thread
from tests.running_proxy import METHODS, dopplers_running, log, open_stream, proxy_at, read_to_the_end


@pytest.mark.parametrize("method", METHODS)
async def test_at_the_end_a_subscriber_gets_what_was_read_and_the_rest_stays_with_the_doppler(
    certs_dir: Path, method: str
) -> None:
    sent = 20_000
    async with dopplers_running(certs_dir, 1) as dopplers:
        async with proxy_at(certs_dir, dopplers) as proxy, trio.open_nursery() as nursery:
            async with proxy_at(certs_dir, dopplers, drain_grace_s=8.0) as ending:
                channel = dial(ending.ports["listen"], certs_dir, "reverselogproxy")
                stream = await in_thread(partial(open_stream, channel, method, shard_id="s"))
                await proxy.readers_are(1)
                for _ in range(sent // 1000):
                    await proxy.send(*[log(b"x" * 500)] * 1000)
                arrived: list[bytes] = []

                async def read_on() -> None:
                    arrived.extend(await in_thread(read_to_the_end, stream))

                nursery.start_soon(read_on)

        channel.close()
        (doppler,) = dopplers
        books = (await accounts(doppler, certs_dir))["s"]
        assert (books["delivered"], books["held"]) == (len(arrived), sent - len(arrived))


async def test_a_subscriber_that_takes_nothing_does_not_hold_up_the_end(certs_dir: Path) -> None:
    async with dopplers_running(certs_dir, 1) as dopplers, AsyncExitStack() as stack:
        async with proxy_at(certs_dir, dopplers, drain_grace_s=0.2) as proxy:
            channel = stack.enter_context(dial(proxy.ports["listen"], certs_dir, "reverselogproxy"))
            stream = await in_thread(partial(open_stream, channel, shard_id="deaf"))
            await proxy.readers_are(1)
            for _ in range(20):
                await proxy.send(*[log(b"x" * 500)] * 1000)
            ending = trio.current_time()

        assert trio.current_time() - ending < 5
        stream.cancel()
        books = (await accounts(dopplers[0], certs_dir))["deaf"]
        assert books["in_flight"] == 0
        assert books["held"] > 10_000
