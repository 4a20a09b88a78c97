"""Each refusal is on the wire what the original's is (loggregator.md 3.2)."""

import pytest

from plumbing.http.refusal import Refusal
from reverse_log_proxy.gateway import refusals


@pytest.mark.parametrize(
    ("refusal", "status", "body"),
    [
        (refusals.METHOD_NOT_ALLOWED, 405, '{"message":"method not allowed","error":"method_not_allowed"}'),
        (refusals.EMPTY_QUERY, 400, '{"message":"query cannot be empty","error":"empty_query"}'),
        (
            refusals.MISSING_TYPE,
            400,
            '{"message":"query must provide at least one envelope type","error":"missing_envelope_type"}',
        ),
        (
            refusals.NO_COUNTER_NAME,
            400,
            '{"message":"counter.name is invalid without value","error":"missing_counter_name"}',
        ),
        (refusals.NO_GAUGE_NAME, 400, '{"message":"gauge.name is invalid without value","error":"missing_gauge_name"}'),
        (
            refusals.STREAMING_UNSUPPORTED,
            500,
            '{"message":"request does not support streaming","error":"streaming_unsupported"}',
        ),
        (
            refusals.STREAMING_UNAVAILABLE,
            503,
            '{"message":"streaming is temporarily unavailable","error":"streaming_unavailable"}',
        ),
        (refusals.NOT_FOUND, 404, '{"message":"resource not found","error":"not_found"}'),
    ],
)
def test_a_refusal_is_one_line_of_json_and_an_empty_one(refusal: Refusal, status: int, body: str) -> None:
    assert (refusal.status, refusal.body) == (status, f"{body}\n\n".encode())


def test_an_unknown_page_is_plain_text() -> None:
    assert (refusals.NO_SUCH_PAGE.status, refusals.NO_SUCH_PAGE.body) == (404, b"404 page not found\n")


def test_nobody_is_to_guess_at_the_type_of_a_refusal() -> None:
    assert refusals.NOT_FOUND.headers == {
        "Content-Type": "text/plain; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
        "Content-Length": str(len(refusals.NOT_FOUND.body)),
    }
