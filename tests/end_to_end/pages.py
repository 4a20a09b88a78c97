"""What tests of the web page do with it, and the JavaScript that they ask it."""

from __future__ import annotations

import time

from tests.browser import Page
from tests.end_to_end.page_events import event
from tests.fakes.event_store_api import FakeEventStore

TOKEN = "of-the-page"
ROWS = "document.querySelectorAll('.events li').length"
"""How many events are listed."""
COUNTED = "parseInt(document.querySelector('#span').innerText.replaceAll(',', ''))"
"""How many events the chart shows."""


def give_token(page: Page, token: str = TOKEN) -> None:
    """Answer the page that wants a token."""
    page.wait_for("document.querySelector('#token-dialog').open")
    page.write(token)
    page.press("Enter")


def search(page: Page, text: str) -> None:
    """Ask for something else."""
    page.evaluate("document.querySelector('#query').select()")
    page.write(text)
    page.press("Enter")


def query_of(page: Page) -> str:
    """Return what is in the search box."""
    return str(page.evaluate("document.querySelector('#query').value"))


def add(store: FakeEventStore, message: str, **given: object) -> None:
    """Let something happen now."""
    store.add(event(time.time_ns(), len(store.events), message=message, **given))
