"""Errors in the forms that clients of the original read (loggregator.md 4.3, 4.5)."""

import json

import pytest

from log_cache.promql.values import QueryError
from log_cache.rest import refusals
from log_cache.rest.refusals import Code


@pytest.mark.parametrize(
    ("code", "number", "status"),
    [
        (Code.UNKNOWN, 2, 500),
        (Code.INVALID_ARGUMENT, 3, 400),
        (Code.DEADLINE_EXCEEDED, 4, 504),
        (Code.RESOURCE_EXHAUSTED, 8, 429),
        (Code.UNIMPLEMENTED, 12, 501),
        (Code.INTERNAL, 13, 500),
        (Code.UNAVAILABLE, 14, 503),
    ],
)
def test_an_error_has_the_code_of_grpc_and_the_status_that_stands_for_it(code: Code, number: int, status: int) -> None:
    refusal = refusals.error(code, "why")

    assert refusal.status == status
    assert json.loads(refusal.body) == {"code": number, "message": "why", "details": []}
    assert refusal.body.endswith(b"\n")
    assert refusal.headers == {"Content-Type": "application/json"}


def test_what_another_node_says_is_passed_on() -> None:
    assert refusals.error_named("UNAVAILABLE", "x").status == 503


def test_a_code_that_is_not_expected_is_unknown() -> None:
    assert refusals.error_named("DATA_LOSS", "x").status == 500


@pytest.mark.parametrize(("kind", "status"), [("bad_data", 400), ("execution", 500), ("timeout", 500)])
def test_an_error_of_promql_has_a_status_whose_json_every_client_reads(kind: str, status: int) -> None:
    refusal = refusals.query_error(QueryError(kind, "why"))  # type: ignore[arg-type]  # a parameter of the test

    assert refusal.status == status
    assert json.loads(refusal.body) == {"status": "error", "errorType": kind, "error": "why"}


def test_a_refusal_of_access_says_nothing() -> None:
    hidden = refusals.hidden()

    assert (hidden.status, hidden.body, hidden.headers) == (404, b"", {})


def test_a_query_without_sources_is_refused_in_the_words_of_the_original() -> None:
    refusal = refusals.no_sources()

    assert (refusal.status, json.loads(refusal.body)["error"]) == (400, "query does not request any source_ids")


def test_without_promql_there_are_no_metrics() -> None:
    assert (refusals.no_promql().status, refusals.no_promql().body) == (501, b"Metrics not available")


def test_a_wrong_method_is_told_which_are_right() -> None:
    refusal = refusals.method_not_allowed(["GET", "HEAD"])

    assert (refusal.status, refusal.headers["Allow"]) == (405, "GET, HEAD")


def test_a_message_may_hold_any_bytes_of_a_client() -> None:
    assert json.loads(refusals.error(Code.UNKNOWN, "a\udcffb").body)["message"] == "a?b"
