"""The page's files: what is served, and that nothing else is."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.http.page import PAGE, page_file

STATIC = Path(__file__).parents[5] / "event_store" / "http" / "page" / "static"
NAMES = sorted(path.name for path in STATIC.iterdir())
TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_answered_with_its_type_and_a_strict_policy(name: str) -> None:
    file = page_file(name)

    assert file is not None
    assert file.body == (STATIC / name).read_bytes()
    assert file.content_type == TYPES.get(name.rpartition(".")[2], "text/html; charset=utf-8")
    assert file.headers["Content-Security-Policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in file.headers["Content-Security-Policy"]
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert re.fullmatch(r'"[0-9a-f]{32}"', file.etag)


def test_the_page_itself_is_what_is_answered_without_a_name() -> None:
    assert page_file() == page_file(PAGE)


@given(st.text() | st.sampled_from(["../files.py", "static/page.js", "/etc/passwd", "", ".", "page.js\0", "PAGE.JS"]))
def test_nothing_else_is_served(name: str) -> None:
    assert (page_file(name) is None) == (name not in NAMES)


def test_nothing_is_fetched_from_elsewhere_and_nothing_is_inline() -> None:
    for name in NAMES:
        text = (STATIC / name).read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg\")", text), name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            name
        )
    page = (STATIC / PAGE).read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)", page)


def test_what_the_files_import_and_look_for_is_there() -> None:
    page = (STATIC / PAGE).read_text(encoding="utf-8")
    for name in NAMES:
        text = (STATIC / name).read_text(encoding="utf-8")
        assert set(re.findall(r'from "\./([^"]+)"', text)) <= set(NAMES), name
        assert [each for each in re.findall(r'byId\("([^"]+)"\)', text) if f'id="{each}"' not in page] == [], name
