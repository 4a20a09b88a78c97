"""The web page in a real browser, before a real event store with what a small shop said, sent by its agent."""

from __future__ import annotations

import time
from urllib.parse import quote

from tests.browser import Page
from tests.end_to_end.pages import COUNTED, ROWS, query_of, search
from tests.end_to_end.shop import Shop

ERRORS = '"could not charge"'
STATUS = "document.querySelector('#tail-status').innerText"


def failures(shop: Shop) -> int:
    """How often a card could not be charged."""
    return sum(b"could not charge" in envelope.log.payload for envelope in shop.said)


def test_a_search_finds_what_was_said(shop_page: Page, shop: Shop) -> None:
    search(shop_page, f"{ERRORS} last 1h")
    shop_page.wait_for(f"{COUNTED} === {failures(shop)} && {ROWS} === {failures(shop)}")
    assert shop_page.text("#legend") == f"error {failures(shop)}"
    shop_page.wait_for("document.querySelectorAll('[data-field=source_id] li').length === 1")
    assert shop_page.texts("[data-field=source_id] li .value") == ["payments"]
    shop_page.click(".events li summary")
    shop_page.wait_for("document.querySelector('.events pre') !== null")
    assert "\n\tat shop.payments.BankClient.charge" in shop_page.evaluate(
        "document.querySelector('.events pre').textContent"
    )


def test_a_value_of_a_field_becomes_a_filter(shop_page: Page, shop: Shop) -> None:
    search(shop_page, "source_id:web last 1h")
    shop_page.wait_for("document.querySelector('[data-field=source_id] li .value')?.innerText === 'web'")
    shop_page.click("[data-field=status] summary")
    shop_page.click('[data-field=status] [aria-label="Filter for status: 502"]')
    shop_page.wait_for("document.querySelector('#query').value.includes('status')")
    assert query_of(shop_page) == "source_id:web status == 502 last 1h"
    bad = sum(b"status=502" in envelope.log.payload for envelope in shop.said)
    shop_page.wait_for(f"{COUNTED} === {bad} && {ROWS} === {bad}")


def test_dragging_over_the_chart_zooms(shop_page: Page, shop: Shop) -> None:
    search(shop_page, "deployment:shop")
    shop_page.wait_for(f"{COUNTED} > 2000")
    left, top, width, height = shop_page.box("#histogram svg")
    shop_page.drag((left + width * 0.5, top + height / 2), (left + width * 0.6, top + height / 2))
    shop_page.wait_for(f"{COUNTED} > 10 && {COUNTED} < 1000")
    shown = shop_page.evaluate("Object.fromEntries(new URLSearchParams(location.hash.slice(1)))")
    assert shop.count(f"deployment:shop from {shown['from']} to {shown['to']}") == shop_page.evaluate(COUNTED)


def test_the_tail_follows_what_is_said_now(shop_page: Page, shop: Shop) -> None:
    search(shop_page, "closing")
    shop_page.wait_for(f"{ROWS} === 0")
    shop_page.press("Escape")
    shop_page.press("t")
    shop_page.wait_for(f"{STATUS} === 'Following · 0 new'")
    shop.emit("the shop is closing")
    shop.emit("nothing to be seen")
    shop_page.wait_for(f"{ROWS} === 1")
    assert shop_page.text(".events .said") == "the shop is closing"
    shop_page.press("t")
    shop_page.wait_for(f"document.querySelector('#tail-bar').hidden && {ROWS} === 1")


def test_figures_are_a_chart_and_a_table(shop_page: Page, shop: Shop) -> None:
    search(shop_page, "deployment:shop last 1h | count by source_id per 1m")
    shop_page.wait_for("document.querySelectorAll('.chart path.bar').length === 4")
    search(shop_page, "last 1h | top 3 path where status >= 400")
    shop_page.wait_for("document.querySelectorAll('tbody tr').length === 3")
    search(shop_page, "last 1h | p50 p99 took_ms by source_id")
    shop_page.wait_for("[...document.querySelectorAll('th')].some((each) => each.innerText === 'p99')")
    assert "web" in shop_page.text("tbody")


def test_a_wrong_query_and_an_unknown_field_are_told(shop_page: Page) -> None:
    search(shop_page, "status >= | count")
    shop_page.wait_for("!document.querySelector('#error').hidden")
    assert shop_page.evaluate("document.querySelector('#query').selectionStart") == len("status >= ")
    search(shop_page, "statsu:500")
    shop_page.wait_for("!document.querySelector('#warnings').hidden")
    assert shop_page.text("#warnings") == 'no event has a field "statsu" (did you mean status?)'
    search(shop_page, "has closing-down")
    shop_page.wait_for("document.querySelector('.nothing button') !== null")
    assert shop_page.text(".nothing").startswith("No events in this time.")


def test_thousands_of_rows_are_a_table_in_the_width_of_the_page(shop_page: Page) -> None:
    search(shop_page, "last 1h | fields time, source_id, message, path, status, agent")
    shop_page.wait_for("document.querySelectorAll('tbody tr').length > 2900")
    assert shop_page.evaluate("document.documentElement.scrollWidth") <= 1280, "the table scrolls, not the page"


def test_an_address_leads_to_a_view(shop_page: Page, shop: Shop) -> None:
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    shop_page.go(f"{shop.url}#q={quote(ERRORS)}&from={since}&to={until}")
    shop_page.reload()
    shop_page.wait_for(f"{COUNTED} === {failures(shop)}")
    assert query_of(shop_page) == ERRORS
