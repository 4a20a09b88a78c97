"""What a log line looks like, and what never gets into one."""

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from plumbing.logs import CUT, cut_secrets, set_up_logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise ValueError("closed")


@pytest.fixture(autouse=True)
def logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("STANDPIPE_LOG", raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    logging.captureWarnings(False)
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def logged(event: str, *, level: str = "info", stream: io.StringIO | None = None, **fields: Any) -> str:
    stream = stream or io.StringIO()
    set_up_logs("doppler", level, stream=stream)
    structlog.get_logger(__name__).info(event, **fields)
    return stream.getvalue()


def test_an_event_is_one_line_with_its_fields():
    line = logged("ready", grpc="127.0.0.1:8082", readers=3)
    assert re.fullmatch(r"\S+Z \[info +\] ready \[doppler\] grpc=127.0.0.1:8082 readers=3\n", line)


def test_there_are_colours_only_on_a_terminal():
    assert "\x1b" not in logged("ready")
    assert "\x1b" in logged("ready", stream=Terminal())


def test_json_is_one_object_a_line(monkeypatch):
    monkeypatch.setenv("STANDPIPE_LOG", "json")
    entry = json.loads(logged("ready", readers=3, place="a\nb"))
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {"event": "ready", "component": "doppler", "level": "info", "readers": 3, "place": "a\nb"}


def test_less_important_events_are_left_out():
    assert logged("ready", level="warning") == ""


def test_what_libraries_log_takes_the_same_way():
    stream = io.StringIO()
    set_up_logs("doppler", stream=stream)
    logging.getLogger("grpc").error("call of %s failed", "peer")
    assert re.fullmatch(r"\S+Z \[error +\] call of peer failed \[doppler\]\n", stream.getvalue())


def test_libraries_are_heard_from_warnings_up():
    stream = io.StringIO()
    set_up_logs("doppler", "debug", stream=stream)
    logging.getLogger("httpx").info("request")
    assert stream.getvalue() == ""


def test_warnings_are_logged():
    stream = io.StringIO()
    set_up_logs("doppler", stream=stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", stacklevel=1)
    assert "UserWarning: old" in stream.getvalue()


def test_setting_up_twice_logs_once():
    stream = io.StringIO()
    set_up_logs("doppler", stream=io.StringIO())
    set_up_logs("doppler", stream=stream)
    logging.getLogger("grpc").error("once")
    assert stream.getvalue().count("once") == 1


def test_an_exception_comes_with_its_traceback():
    stream = io.StringIO()
    set_up_logs("doppler", stream=stream)
    try:
        int("broken")
    except ValueError:
        structlog.get_logger(__name__).exception("crashed")
    assert "Traceback" in stream.getvalue()
    assert "ValueError: invalid literal" in stream.getvalue()


@pytest.mark.parametrize("text", ["a\nFORGED", "\x1b[2J", "a\rb", "\x9b31m", "\u2028", "\x00"])
def test_text_from_others_cannot_break_the_line_or_steer_the_terminal(text):
    for line in (logged(text), logged("event", field=text), logged("event", fields=[text])):
        assert line.count("\n") == 1
        assert line[:-1].isprintable()


@pytest.mark.parametrize(
    "key",
    ["token", "admin_token", "Authorization", "password", "db-password", "client_secret", "private_key", "signing_key"],
)
def test_fields_named_like_secrets_are_cut(key):
    assert cut_secrets(None, "info", {key: "hush"}) == {key: CUT}
    assert cut_secrets(None, "info", {"headers": {key: b"hush"}}) == {"headers": {key: CUT}}


@pytest.mark.parametrize("key", ["tokens", "token_id", "key", "tls_key", "secretary", "shard_id"])
def test_other_fields_are_kept(key):
    assert cut_secrets(None, "info", {key: "said"}) == {key: "said"}


@pytest.mark.parametrize(
    "text",
    [
        "sent Bearer hush",
        "authorization: bearer hush",
        "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nhush",
    ],
)
def test_secrets_within_text_are_cut(text):
    for line in (logged(text), logged("event", field=text), logged("event", fields=[text.encode()])):
        assert CUT in line
        assert "hush" not in line


def test_secrets_within_tracebacks_are_cut():
    assert "hush" not in logged("event", exc_info=ValueError("Bearer hush"))


def test_other_objects_are_logged_as_their_text():
    assert "error='no such peer'" in logged("event", error=OSError("no such peer"))


def test_a_reader_of_the_log_who_is_gone_stops_nothing():
    logged("ready", stream=Broken())
    logging.getLogger("grpc").error("still here")
