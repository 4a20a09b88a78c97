"""The exact bytes of events, and the ids in them."""

import pytest

from reverse_log_proxy.gateway import sse

SESSION = "0123456789abcdef" * 2


def test_data_comes_right_behind_its_id() -> None:
    assert sse.data(SESSION, 7, b'{"batch":[]}') == f'id: {SESSION}-7\ndata: {{"batch":[]}}\n\n'.encode()


def test_a_heartbeat_is_two_lines_and_an_empty_one() -> None:
    assert sse.heartbeat(1_700_000_000.9) == b"event: heartbeat\ndata: 1700000000\n\n"


def test_the_last_word_says_why() -> None:
    assert sse.closing(sse.STREAM_TIMEOUT) == b"event: closing\ndata: closing due to stream timeout\n\n"


def test_a_failure_to_resume_is_a_comment() -> None:
    assert sse.cannot_resume("the session is over") == b": cannot resume: the session is over\n\n"


def test_an_id_is_read_back() -> None:
    assert sse.parse_id(f" {SESSION}-12 ") == (SESSION, 12)


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", "1", SESSION, f"{SESSION}-", f"{SESSION}-x", f"{SESSION}--1", f"x{SESSION}-1"),
        *(f"{SESSION}-{'9' * 19}", f"{SESSION.upper()}-1", f"{SESSION}-٣", f"{SESSION}-1\n2"),
    ],
)
def test_nothing_else_is_an_id(text: str) -> None:
    assert sse.parse_id(text) is None
