"""What tests of the web page share: a browser, which is slow to start, and a page before a store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser, Page, browser, is_installed
from tests.end_to_end.page_events import events
from tests.end_to_end.pages import COUNTED, ROWS, TOKEN, give_token
from tests.end_to_end.shop import Shop, running_shop
from tests.fakes.event_store_api import FakeEventStore


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real browser."""
    if not is_installed():
        pytest.skip("no browser here: make test unpacks one")
    with browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture
def page_store(certs_dir: Path) -> Iterator[FakeEventStore]:
    """A store with a quarter of an hour of events."""
    serving = FakeEventStore(events(time.time_ns()), token=TOKEN, certs=certs_dir)
    yield serving
    serving.close()


@pytest.fixture
def page(chromium: Browser, page_store: FakeEventStore) -> Iterator[Page]:
    """The page of that store, with its token, showing everything. It must not complain of anything."""
    opened = chromium.open(page_store.url)
    give_token(opened)
    opened.wait_for(f"{ROWS} === 200 && {COUNTED} === 1500")
    yield opened
    assert opened.complaints() == []
    opened.close()


@pytest.fixture(scope="session")
def shop(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A real event store that runs, with what a small shop said."""
    with running_shop(tmp_path_factory.mktemp("shop"), time.time_ns()) as running:
        yield running


@pytest.fixture
def shop_page(chromium: Browser, shop: Shop) -> Iterator[Page]:
    """The page of that store."""
    opened = chromium.open(shop.url)
    give_token(opened, shop.token)
    opened.wait_for(f"{ROWS} === 200")
    yield opened
    assert opened.complaints() == []
    opened.close()
