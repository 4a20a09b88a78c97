"""What paths ask for."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.http.routes import ROUTES, UNDERSTOOD, find
from plumbing.http.refusal import Refusal


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_is_found_by_its_path_and_methods(path: str) -> None:
    for method in ROUTES[path].methods:
        assert find(path.encode(), method) is ROUTES[path]


@pytest.mark.parametrize(
    ("path", "method", "status"), [(b"/api/sql", "GET", 405), (b"/api", "GET", 404), (b"/x", "GET", 404)]
)
def test_others_are_refused(path: bytes, method: str, status: int) -> None:
    with pytest.raises(Refusal) as refused:
        find(path, method)
    assert refused.value.status == status


def test_a_file_of_the_page_is_for_anybody() -> None:
    route = find(b"/static/page.js", "GET")
    assert (route.name, route.argument, route.is_open) == ("static", "page.js", True)


def test_what_needs_an_administrator_is_not_open() -> None:
    assert {route.name for route in ROUTES.values() if route.for_admins} == {"sql", "stats"}
    assert {route.name for route in ROUTES.values() if route.is_open} == {"openapi", "page"}
    assert "token" not in UNDERSTOOD


@given(st.binary(max_size=200), st.sampled_from(["GET", "POST", "PUT", "HEAD"]))
def test_any_path_is_a_route_or_refused(path: bytes, method: str) -> None:
    with suppress(Refusal):
        assert method in find(path, method).methods
