"""Paths, and source ids of every kind in them (loggregator.md 4.3)."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_cache.rest.routes import NAMES, Route, allowed_methods, check_method, find
from plumbing.http.exchange import OTHER
from plumbing.http.refusal import Refusal


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v1/meta", "meta"),
        ("/api/v1/info", "info"),
        ("/api/v1/query", "query"),
        ("/api/v1/query_range", "query_range"),
        ("/api/v1/labels", "labels"),
        ("/api/v1/series", "series"),
        ("/api/v1/metadata", "metadata"),
        ("/api/v1/status/buildinfo", "buildinfo"),
    ],
)
def test_a_path_asks_for_one_thing(path: str, name: str) -> None:
    assert find(path.encode()) == Route(name)
    assert name in NAMES


@pytest.mark.parametrize("escape", ["", "/"])
@given(source_id=st.text(max_size=50))
def test_any_text_is_a_source_id(source_id: str, escape: str) -> None:
    assert find(f"/api/v1/read/{quote(source_id, safe=escape)}".encode()) == Route("read", source_id)


@pytest.mark.parametrize(
    ("escaped", "source_id"),
    [
        (b"", ""),
        (b"/", "/"),
        (b"../../info", "../../info"),
        (b"%2e%2e%2Fmeta", "../meta"),
        (b"a%0Ab", "a\nb"),
        (b"a%", "a%"),
        (b"a%zz", "a%zz"),
        (b"%25", "%"),
        (b"a+b", "a+b"),
        (b"a" * 10_000, "a" * 10_000),
    ],
)
def test_a_source_id_is_unescaped_once(escaped: bytes, source_id: str) -> None:
    assert find(b"/api/v1/read/" + escaped).argument == source_id


def test_a_label_has_values() -> None:
    assert find(b"/api/v1/label/a%2Fb/values") == Route("label_values", "a/b")


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/",
        b"/v1/read/app",
        b"/v1/meta",
        b"/api/v1",
        b"/api/v1/",
        b"/api/v1/read",
        b"/api/v1/meta/",
        b"/api/v1//meta",
        b"/api/v2/meta",
        b"/api/v1/label/values",
        b"/api/v1/label//values",
        b"/api/v1/label/x",
        b"*",
    ],
)
def test_other_paths_lead_nowhere(path: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        find(path)

    assert caught.value.status == 404
    assert OTHER in NAMES


def test_a_source_id_is_utf_8() -> None:
    with pytest.raises(Refusal) as caught:
        find(b"/api/v1/read/%ff")

    assert caught.value.status == 400


@pytest.mark.parametrize(("name", "method"), [("read", "POST"), ("info", "DELETE"), ("query", "PUT")])
def test_a_wrong_method_is_refused(name: str, method: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_method(name, method)

    assert caught.value.status == 405
    assert caught.value.headers["Allow"] == ", ".join(allowed_methods(name))


@pytest.mark.parametrize(("name", "method"), [("read", "HEAD"), ("meta", "OPTIONS"), ("query_range", "POST")])
def test_a_right_one_is_not(name: str, method: str) -> None:
    check_method(name, method)
