"""Components with their usual settings, for the tests of several files."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.running_controller import Controller, open_controller
from tests.running_gateway import Gateway, open_gateway
from tests.running_proxy import Proxy, pipeline


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
