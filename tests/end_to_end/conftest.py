"""What tests of the web page share: a browser, which is slow to start, and a page before a store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser, Page, browser, is_installed
from tests.end_to_end.page_events import events
from tests.end_to_end.pages import COUNTED, ROWS, TOKEN, give_token
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
    refused = "Failed to load resource"  # the browser's own line for each answer that is an error
    assert [each for each in opened.complaints() if refused not in each] == []
    opened.close()
