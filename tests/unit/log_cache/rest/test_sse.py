from log_cache.rest import sse


def test_data_comes_with_the_place_behind_it() -> None:
    assert sse.data("abc", b'{"batch":[]}') == b'id: abc\ndata: {"batch":[]}\n\n'


def test_a_place_alone_raises_no_event() -> None:
    assert sse.place("abc") == b"id: abc\n\n"


def test_what_was_missed_is_an_event_of_its_own() -> None:
    assert sse.missed(7) == b'event: missed\ndata: {"missed":7}\n\n'


def test_nobody_may_know_how_much_that_is() -> None:
    assert sse.missed(None) == b'event: missed\ndata: {"missed":null}\n\n'


def test_a_heartbeat_is_a_comment() -> None:
    assert sse.HEARTBEAT.startswith(b":")
