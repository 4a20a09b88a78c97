"""What a client is told that gets no answer."""

import orjson
import pytest

from event_store.http.refusals import STATUS, ApiError, Code, bad_body, busy, no_such_method, unauthorized, wrong


@pytest.mark.parametrize("code", STATUS)
def test_a_refusal_is_json_with_the_status_of_its_code(code: Code) -> None:
    refused = ApiError(code, "why")
    assert refused.status == STATUS[code]
    assert orjson.loads(refused.body) == {"error": {"code": code, "message": "why"}} == refused.said
    assert refused.headers["Content-Type"] == "application/json"


def test_it_may_say_where_and_what_was_meant() -> None:
    refused = ApiError("syntax", "no stage", column=3, suggestion="did you mean count?")
    assert refused.said["error"].items() >= {"column": 3, "suggestion": "did you mean count?"}.items()


def test_what_is_no_text_does_not_break_it() -> None:
    assert b"?" in ApiError("syntax", "\ud800").body


def test_each_kind_says_what_to_do() -> None:
    assert unauthorized().headers["WWW-Authenticate"] == "Bearer"
    assert busy("too many").headers["Retry-After"] == "1"
    assert (no_such_method(("GET",)).status, no_such_method(("GET",)).headers["Allow"]) == (405, "GET")
    assert (bad_body(408, "slow").said["error"]["code"], bad_body(415, "no").headers["Connection"]) == (
        "timeout",
        "close",
    )
    assert wrong("limit", "is no number").said["error"]["message"] == "limit: is no number"
