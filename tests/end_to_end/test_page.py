"""The web page in a real browser, before a store that answers from a list: what is done with it."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest

from tests.browser import Browser, Page
from tests.end_to_end.pages import COUNTED, ROWS, TOKEN, add, give_token, query_of, search
from tests.fakes.event_answers import iso
from tests.fakes.event_store_api import FakeEventStore


def test_a_search_shows_the_events_their_count_and_the_values_of_fields(page: Page, page_store: FakeEventStore) -> None:
    failed = [each for each in page_store.events if "failed" in (each["message"] or "")]
    search(page, "PAYMENT failed")
    page.wait_for(f"{COUNTED} === {len(failed)}")
    page.wait_for(f"{ROWS} === {len(failed)}")
    page.wait_for(f"document.querySelector('.events li .said').innerText === {json.dumps(failed[-1]['message'])}")
    for field in ("severity", "source_id"):
        page.wait_for(f"document.querySelectorAll('[data-field={field}] li').length === 1")
    assert page.texts("[data-field=source_id] li .value") == ["payments"]
    assert page.text("#legend") == f"error {len(failed)}"


def test_what_was_scanned_is_not_said_by_who_does_not_know(page: Page, page_store: FakeEventStore) -> None:
    assert " scanned in " in page.text("#status")
    page_store.tells_all = False
    search(page, "payment last 1h")
    page.wait_for(f"{ROWS} < 200 && document.querySelector('#status').innerText.endsWith(' ms')")
    assert "scanned" not in page.text("#status")


def test_what_is_wrong_with_a_query_is_said_under_its_column(page: Page) -> None:
    search(page, "payment status >= | count")
    page.wait_for("!document.querySelector('#error').hidden")
    assert "is not expected here" in page.text("#error-text")
    assert page.evaluate("document.querySelector('#query').selectionStart") == len("payment status >= ")
    left, _, width, _ = page.box("#caret")
    character, start = page.evaluate(
        "(() => { const it = document.querySelector('#query'), c = document.createElement('canvas').getContext('2d'); "
        "c.font = getComputedStyle(it).font; return [c.measureText('m').width, "
        "it.getBoundingClientRect().left + 1 + parseFloat(getComputedStyle(it).paddingLeft)]; })()"
    )
    assert left + width / 2 == pytest.approx(start + character * len("payment status >= "), abs=character / 2)
    search(page, "payment")
    page.wait_for("document.querySelector('#error').hidden")


def test_dragging_over_the_chart_zooms_and_back_leads_back(page: Page) -> None:
    left, top, width, height = page.box("#histogram svg")
    page.drag((left + width * 0.4, top + height / 2), (left + width * 0.6, top + height / 2))
    page.wait_for(f"{COUNTED} > 0 && {COUNTED} < 700")
    assert "from=" in page.evaluate("location.hash")
    seconds = page.evaluate("(() => { const g = new URLSearchParams(location.hash.slice(1)); "
                            "return (Date.parse(g.get('to')) - Date.parse(g.get('from'))) / 1000; })()")  # fmt: skip
    assert 150 < seconds < 240, "a fifth of 15 minutes, more or less"
    page.click("#zoom-out")
    page.wait_for(f"{COUNTED} >= 300")
    page.evaluate("history.go(-2)")
    page.wait_for("location.hash.includes('range=15m')")
    page.wait_for(f"{COUNTED} > 1000")


def test_a_value_becomes_a_filter_and_the_contrary_one(page: Page) -> None:
    search(page, "payment or timed last 1h")
    page.wait_for("document.querySelector('#range').innerText === 'As written'")
    page.wait_for(f"{ROWS} > 0 && {ROWS} < 200")
    page.click(".events li summary")
    page.click('.events [aria-label="Filter for severity: error"]')
    page.wait_for("location.hash.includes('severity')")
    assert query_of(page) == '(payment or timed) severity == "error" last 1h'
    search(page, "")
    page.wait_for(f"{ROWS} === 200")
    page.click('[data-field="severity"] li [aria-label="Filter out severity: info"]')
    page.wait_for("document.querySelector('#query').value === 'not severity == \"info\"'")
    page.wait_for("![...document.querySelectorAll('.pill')].some((each) => each.innerText === 'info')")


def test_the_tail_follows_filters_pauses_and_says_what_was_dropped(page: Page, page_store: FakeEventStore) -> None:
    search(page, "message:*follow*")
    page.wait_for(f"{ROWS} === 0")
    page.press("Escape")
    page.press("t")
    page.wait_for("document.querySelector('#tail-status').innerText.startsWith('Following')")
    add(page_store, "follow one")
    add(page_store, "something else")
    add(page_store, "follow two")
    page.wait_for(f"{ROWS} === 2")
    assert page.texts(".events .said") == ["follow two", "follow one"]
    page.press("p")
    page.wait_for("document.querySelector('#tail-status').innerText.startsWith('Paused')")
    add(page_store, "follow three")
    page_store.drop(12)
    page.wait_for("document.querySelector('#tail-status').innerText === 'Paused · 1 waiting · 12 dropped by the store'")
    assert page.evaluate(ROWS) == 2
    page.press("p")
    page.wait_for(f"{ROWS} === 3")
    page.press("t")
    page.wait_for("document.querySelector('#tail-bar').hidden")
    page.wait_for(f"{ROWS} === 3")


def test_a_paused_tail_holds_a_bounded_number_and_counts_the_others(page: Page, page_store: FakeEventStore) -> None:
    search(page, "flood")
    page.press("Escape")
    page.press("t")
    page.wait_for("document.querySelector('#tail-status').innerText.startsWith('Following')")
    page.press("p")
    for number in range(1200):
        add(page_store, f"flood {number}")
    page.wait_for("document.querySelector('#tail-status').innerText === 'Paused · 1000 waiting · 200 dropped here'")
    page.press("p")
    page.wait_for(f"{ROWS} === 1000")
    assert page.text(".events .said") == "flood 1199"


def test_a_tail_that_breaks_off_goes_on_where_it_was_and_says_so(page: Page, page_store: FakeEventStore) -> None:
    page.go(f"{page_store.url}#q=follow&tail=1")
    page.reload()
    page.wait_for("document.querySelector('#tail-status').innerText === 'Following · 0 new'")
    add(page_store, "follow me")
    page_store.cut()
    add(page_store, "follow unseen")
    page.wait_for("/^Following.*interrupted once$/.test(document.querySelector('#tail-status').innerText)")
    add(page_store, "follow on")
    page.wait_for(f"{ROWS} === 3")
    assert page.texts(".events .said") == ["follow on", "follow unseen", "follow me"]


def test_a_tail_whose_store_becomes_another_one_begins_anew(page: Page, page_store: FakeEventStore) -> None:
    page.go(f"{page_store.url}#q=follow&tail=1")
    page.reload()
    page.wait_for("document.querySelector('#tail-status').innerText === 'Following · 0 new'")
    add(page_store, "follow me")
    page.wait_for(f"{ROWS} === 1")
    seen = page_store.events[-1]
    for each in (seen, {**seen, "time": iso(time.time_ns()), "message": "follow another"}):
        page_store.add(each)
    page.wait_for(f"{ROWS} === 2")
    assert page.texts(".events .said") == ["follow another", "follow me"]
    page_store.events[:] = page_store.events[:100]
    add(page_store, "follow what was restored")
    page_store.cut()
    page.wait_for("document.querySelector('.events .said')?.innerText === 'follow what was restored'")
    assert page.texts(".events .said") == ["follow what was restored"]
    page.wait_for("document.querySelector('#tail-status').innerText === 'Following · 0 new'")
    add(page_store, "follow on")
    page.wait_for(f"{ROWS} === 2")


def test_a_table_that_has_the_columns_of_events_is_a_table(page: Page) -> None:
    are_events = page.evaluate(
        "import('/static/events.js').then(({ areEvents }) => ['object', 'text'].map((type) => areEvents("
        "[['time', 'time'], ['seq', 'integer'], ['fields', type]].map(([name, type]) => ({ name, type })))))"
    )
    assert are_events == [True, False]


def test_what_comes_during_the_first_query_of_a_tail_is_shown(page: Page, page_store: FakeEventStore) -> None:
    search(page, "follow")
    page.wait_for(f"{ROWS} === 0")
    page.press("Escape")
    page_store.may_answer.clear()
    page.press("t")
    page.wait_for("document.querySelector('#tail-status').innerText === 'Following · 0 new'")
    add(page_store, "follow one")
    page_store.may_answer.set()
    page.wait_for(f"{ROWS} === 1")
    page.wait_for("document.querySelector('#tail-status').innerText === 'Following · 1 new'")
    page.press("t")
    page.wait_for("document.querySelector('#tail-bar').hidden")
    page_store.failing = {"/api/query"}
    page.press("t")
    page.wait_for("!document.querySelector('#error').hidden")
    add(page_store, "follow two")
    page.wait_for("document.querySelector('.events .said')?.innerText === 'follow two'")


def test_figures_of_very_many_groups_over_time_are_drawn_all_the_same(page: Page) -> None:
    page.evaluate(
        "import('/static/table.js').then(({ showTable }) => { "
        "const columns = [['time', 'time'], ['user', 'text'], ['count', 'integer']]"
        ".map(([name, type]) => ({ name, type })); "
        "const rows = Array.from({ length: 5000 }, (_, at) => "
        "[new Date(at * 60000).toISOString(), `user ${at}`, at % 4990]); "
        "showTable(document.querySelector('#results'), { columns, rows }, () => {}); })"
    )
    page.wait_for("document.querySelectorAll('.chart path.line, .chart path.bar').length === 8")
    assert page.text(".keys .quiet") == "and 4,992 more"
    assert page.texts(".chart + .keys .key")[0] == "user 4989", "the largest is the first"


def test_an_address_leads_to_the_same_view(page: Page, chromium: Browser, page_store: FakeEventStore) -> None:
    search(page, "severity >= warn | top 3 source_id")
    page.wait_for("document.querySelectorAll('tbody tr').length === 3")
    shown = page.texts("tbody tr")
    page.reload()
    page.wait_for("document.querySelectorAll('tbody tr').length === 3")
    assert page.texts("tbody tr") == shown
    assert query_of(page) == "severity >= warn | top 3 source_id"
    linked = f"{page_store.url}#q={quote('payment')}&from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z"
    other = chromium.open(linked)
    give_token(other)
    other.wait_for(f"{COUNTED} === 0")
    assert query_of(other) == "payment"
    assert other.text("#range") == "2020-01-01 00:00:00 – 2020-01-02 00:00:00"
    other.close()


def test_figures_over_time_are_a_chart_and_a_table_that_leads_to_events(page: Page) -> None:
    search(page, "| count by source_id per 1m")
    page.wait_for("document.querySelectorAll('.chart path.bar').length === 4")
    assert page.texts("th") == ["time", "source_id", "count"]
    page.click("tbody td button")
    page.wait_for(f"{ROWS} === 200")
    assert query_of(page).startswith("source_id == ")
    assert "|" not in query_of(page)


def test_everything_is_done_with_keys(page: Page) -> None:
    page.press("j")
    page.press("j")
    page.press("Enter")
    page.wait_for("document.querySelectorAll('.events li')[1].querySelector('dl') !== null")
    page.press("k")
    assert page.evaluate("document.activeElement.closest('li') === document.querySelector('.events li')")
    page.press("?")
    page.wait_for("document.querySelector('#help').open")
    page.press("Escape")
    page.wait_for("!document.querySelector('#help').open")
    page.press("/")
    assert page.evaluate("document.activeElement.id") == "query"
    page.write("worker j t")
    page.press("t")
    assert query_of(page) == "worker j tt", "a key was taken for a command while writing"


def test_times_are_chosen_from_quick_and_absolute_ranges(page: Page) -> None:
    page.click("#range")
    page.click("[data-range='5m']")
    page.wait_for("document.querySelector('#range').innerText === 'Last 5 minutes'")
    page.wait_for(f"{COUNTED} > 0 && {COUNTED} < 1000")
    search(page, "last 1h worker")
    page.wait_for("document.querySelector('#range').innerText === 'As written'")
    page.click("#range")
    page.wait_for("document.querySelector('#from').value")
    page.evaluate("[['from', '2020-01-01T10:00:00'], ['to', '2020-01-01T09:00:00']]"
                  ".forEach(([id, at]) => (document.getElementById(id).value = at))")  # fmt: skip
    page.click("#absolute button")
    assert page.evaluate("document.querySelector('#to').validationMessage") == "The end is not after the start."
    page.evaluate("document.querySelector('#to').value = '2020-01-01T11:00:00'")
    page.evaluate("document.querySelector('#absolute').dispatchEvent(new Event('input'))")
    page.click("#absolute button")
    page.wait_for(f"{COUNTED} === 0")
    assert query_of(page) == "worker", "two time ranges would contradict each other"


def test_the_token_is_kept_in_the_tab_and_a_wrong_one_is_asked_for_again(
    chromium: Browser, page_store: FakeEventStore
) -> None:
    opened = chromium.open(page_store.url)
    give_token(opened, "wrong")
    opened.wait_for("document.querySelector('#token-why').innerText === 'The store does not take this token.'")
    give_token(opened)
    opened.wait_for(f"{ROWS} === 200")
    assert opened.evaluate("Object.values(sessionStorage)") == [TOKEN]
    assert opened.evaluate("document.cookie + Object.values(localStorage)") == ""
    assert TOKEN not in opened.evaluate("location.href")
    opened.reload()
    opened.wait_for(f"{ROWS} === 200")
    opened.click("#sign-out")
    opened.wait_for("document.querySelector('#token-dialog').open")
    assert opened.evaluate("Object.values(sessionStorage)") == []
    opened.close()


def test_a_store_that_cannot_be_reached_is_said(page: Page, page_store: FakeEventStore) -> None:
    page.call("Network.enable")
    page.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    search(page, "worker")
    page.wait_for("document.querySelector('#error').innerText.includes('cannot be reached')")


def test_counts_that_fail_are_said_and_the_events_shown_all_the_same(page: Page, page_store: FakeEventStore) -> None:
    page_store.failing = {"/api/timeseries", "/api/fields"}
    search(page, "payment failed")
    page.wait_for("document.querySelector('#span').innerText === 'No counts: it took longer than 10 s'")
    page.wait_for("document.querySelector('#fields').innerText === 'No fields: it took longer than 10 s'")
    page.wait_for(f"{ROWS} > 0 && {ROWS} < 200")
