"""Components with their usual settings, for the tests of several files."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from plumbing.island import open_island
from plumbing.lifecycle import Ports
from tests.asked_authority import APP, SERVICE, Asked, here
from tests.fakes.capi import FakeCapi
from tests.fakes.uaa import FakeUaa
from tests.running import dial, running
from tests.running_controller import Controller, open_controller
from tests.running_gateway import Gateway, open_gateway
from tests.running_log_cache import LogCache, open_log_cache
from tests.running_proxy import Proxy, pipeline


@pytest.fixture
async def doppler(certs_dir: Path) -> AsyncIterator[Ports]:
    """A doppler of few subscriptions."""
    async with running("doppler", certs_dir, drain_grace_s=1.0, max_subscriptions=3) as ports:
        yield ports


@pytest.fixture
def channel(doppler: Ports, certs_dir: Path) -> Iterator[grpc.Channel]:
    """A plain channel to the doppler."""
    with dial(doppler["listen"], certs_dir, "doppler") as channel:
        yield channel


@pytest.fixture
async def cache(certs_dir: Path, tmp_path: Path) -> AsyncIterator[LogCache]:
    """A log cache without Dopplers."""
    async with open_log_cache(certs_dir, tmp_path) as cache:
        yield cache


@pytest.fixture
async def proxy(certs_dir: Path) -> AsyncIterator[Proxy]:
    """A reverse log proxy on one doppler."""
    async with pipeline(certs_dir) as proxy:
        yield proxy


@pytest.fixture
async def gateway(certs_dir: Path, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway on one doppler."""
    async with open_gateway(certs_dir, tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def controller(certs_dir: Path, tmp_path: Path) -> AsyncIterator[Controller]:
    """A traffic controller without Dopplers."""
    async with open_controller(certs_dir, tmp_path) as controller:
        yield controller


@pytest.fixture(params=["trio", "asyncio"])
async def asked(request: pytest.FixtureRequest, certs_dir: Path, tmp_path: Path) -> AsyncIterator[Asked]:
    """An authority, once on either event loop."""
    secret = tmp_path / "secret"
    with FakeUaa(certs_dir) as uaa, FakeCapi(certs_dir, uaa.who) as capi:
        secret.write_text(f"{uaa.client_secret}\n")
        capi.apps[APP], capi.services[SERVICE] = {"alice"}, {"alice"}
        if request.param == "trio":
            yield Asked(uaa, capi, certs_dir, here, secret)
        else:
            async with open_island() as island:
                yield Asked(uaa, capi, certs_dir, island.run, secret)


@pytest.fixture(params=["check_token", "keys"])
def verify(request: pytest.FixtureRequest) -> str:
    """Either way to find out about a token."""
    return str(request.param)
