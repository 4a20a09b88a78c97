"""How the web page looks, to whom: light, dark, narrow, to those who do not see it. And what is in the logs stays text.

`PAGE_IMAGES=docs/images` takes the pictures of the documentation.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser import Page
from tests.end_to_end.pages import ROWS, add, search
from tests.fakes.event_store_api import FakeEventStore

SHOWN = {
    "light": "payments or status >= 400",
    "dark": "deployment:shop | count by severity per 1m",
}
HOSTILE = """<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>"'><svg onload=window.hurt=1>"""


def test_light_and_dark_follow_the_system_and_the_switch(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page.prefer("light")
    light = page.evaluate(ground)
    page.prefer("dark")
    dark = page.evaluate(ground)
    assert light != dark
    page.click("#theme")
    assert page.evaluate(ground) == light
    page.reload()
    assert page.evaluate(ground) == light, "the switch is remembered"
    page.click("#theme")
    page.prefer("light")
    assert page.evaluate(ground) == dark


def test_what_is_in_the_logs_stays_text(page: Page, page_store: FakeEventStore) -> None:
    fields = {HOSTILE: HOSTILE, "path": HOSTILE}
    add(page_store, HOSTILE, source_id=HOSTILE, severity="error", fields=fields)
    search(page, "onerror")
    page.wait_for(f"{ROWS} === 1")
    page.click(".events summary")
    page.wait_for("document.querySelector('.events dl') !== null")
    page.click("[data-field=path] summary")
    page.wait_for("document.querySelector('[data-field=path] li') !== null")
    assert page.text(".events pre") == HOSTILE
    page.click('.events [aria-label^="Filter for path"]')
    page.wait_for("document.querySelector('#query').value.includes('path ==')")
    page.wait_for(f"{ROWS} === 1")
    search(page, "onerror | top 5 path")
    page.wait_for("document.querySelector('tbody td') !== null")
    assert page.text("tbody td") == HOSTILE
    search(page, HOSTILE)
    page.wait_for("!document.querySelector('#error').hidden")
    assert page.evaluate("window.hurt") is None
    assert page.evaluate("document.querySelectorAll('body script, #results img, #panel img').length") == 0


def test_a_phone_shows_all_of_it_in_its_width(page: Page) -> None:
    page.resize(360, 740)
    page.click(".events li summary")
    page.wait_for("document.querySelector('.events dl') !== null")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("getComputedStyle(document.querySelector('#panel')).display") == "none"
    page.click("#panel-button")
    page.wait_for("getComputedStyle(document.querySelector('#panel')).display === 'block'")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_every_control_has_a_name_and_every_text_its_contrast(page: Page) -> None:
    page.click(".events li summary")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    controls = {"button", "textbox", "searchbox", "link", "checkbox", "combobox"}
    nameless = [
        node for node in nodes
        if not node["ignored"] and node["role"]["value"] in controls and not node.get("name", {}).get("value")
    ]  # fmt: skip
    assert nameless == []
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        assert page.evaluate(FAINT) == []


FAINT = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (c) => c.slice(0, 3).map((v) => linear(v / 255))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (it) => { for (; it; it = it.parentElement) { const c = rgb(getComputedStyle(it).backgroundColor);
    if (c[3] === 255) return c; } return [255, 255, 255]; };
  const texts = [...document.querySelectorAll('body *')].filter((it) => it.checkVisibility() && !it.closest('svg') &&
    [...it.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return texts.map((it) => { const [a, b] = [light(rgb(getComputedStyle(it).color)), light(ground(it))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), it.outerHTML.slice(0, 80)]; })
    .filter(([ratio]) => ratio < 4.5);
})()"""
"""JavaScript: the texts that stand out less from their ground than WCAG AA asks for."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_of_the_page(shop_page: Page, scheme: str, tmp_path: Path) -> None:
    """They show a real store, and are kept where the variable `PAGE_IMAGES` says, if it says so."""
    page = shop_page
    page.resize(1280, 760)
    page.prefer(scheme)
    search(page, SHOWN[scheme])
    page.wait_for("document.querySelector('tbody') !== null" if scheme == "dark" else f"{ROWS} < 200 && {ROWS} > 3")
    page.wait_for("document.querySelectorAll('#panel li').length > 3")
    if scheme == "light":
        page.click(".events li:has(.s-error) summary")
    page.press("Escape")
    page.wait_for("document.querySelector('[aria-busy]') === null")
    target = Path(os.environ.get("PAGE_IMAGES", tmp_path)) / f"page-{scheme}.png"
    page.screenshot(target)
    assert target.stat().st_size <= 200_000
