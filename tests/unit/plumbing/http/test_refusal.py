"""What a refusal is without being told more."""

from plumbing.http.refusal import Refusal


def test_a_body_is_json_unless_it_is_said_otherwise() -> None:
    assert Refusal(400, b"{}").headers == {"Content-Type": "application/json"}
    assert Refusal(400, b"x", {"Content-Type": "text/plain"}).headers == {"Content-Type": "text/plain"}


def test_without_a_body_there_is_no_type() -> None:
    assert (Refusal(404).body, Refusal(404).headers, str(Refusal(404))) == (b"", {}, "404")
