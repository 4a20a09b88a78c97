"""Paths and tokens become streams or the answers of loggregator.md 3.1."""

import pytest

from envelope.kinds import Keep, Kind
from envelope.selectors import Interest, parse_request
from plumbing.auth import AccessDenied, Grant
from traffic_controller.doors import Refusal, Stream, knock

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"


class FakeVerifier:
    """Knows three tokens."""

    def verify(self, token: str, now: float) -> Grant:
        scopes = {"admin": ("doppler.firehose", "logs.admin"), "logs": ("logs.admin",), "app": ("source.read",)}
        if token not in scopes:
            raise AccessDenied("no such token")
        sources = (APP,) if token == "app" else ()
        return Grant(scopes=frozenset(scopes[token]), sources=frozenset(sources), token_id="t", expires_at=None)


def ask(target: str, token: str | None = "admin") -> Stream | Refusal:
    return knock(target, token, FakeVerifier(), 0.0)


def stream(target: str, token: str | None = "admin") -> Stream:
    asked = ask(target, token)
    assert isinstance(asked, Stream)
    return asked


def refusal(target: str, token: str | None = "admin") -> Refusal:
    asked = ask(target, token)
    assert isinstance(asked, Refusal)
    return asked


@pytest.mark.parametrize(
    ("query", "kinds", "keep"),
    [
        ("", Kind.TYPED, Keep.ALL),
        ("?", Kind.TYPED, Keep.ALL),
        ("?filter-type=everything", Kind.TYPED, Keep.ALL),
        ("?filter-type=logs", Kind.LOG, Keep.LOGS),
        ("?filter-type=metrics", Kind.TYPED & ~Kind.LOG, Keep.METRICS),
    ],
)
def test_a_firehose_is_everything_or_what_is_filtered(query: str, kinds: Kind, keep: Keep) -> None:
    asked = stream(f"/firehose/nozzle{query}")

    request = parse_request(asked.request)
    assert (asked.endpoint, asked.name, request.shard_id, asked.keep) == ("firehose", "nozzle", "nozzle", keep)
    assert set(request.interests) == {Interest(kind) for kind in Kind if kind & kinds and kind.bit_count() == 1}


def test_an_app_stream_is_that_app_shared_with_nobody() -> None:
    asked = stream(f"/apps/{APP}/stream", "app")

    request = parse_request(asked.request)
    assert (asked.endpoint, request.shard_id, asked.keep) == ("stream", "", Keep.APP)
    assert {interest.source for interest in request.interests} == {APP.encode()}


@pytest.mark.parametrize(
    ("target", "token", "body"),
    [
        ("/firehose/s", None, "You are not authorized. authorization not provided"),
        ("/firehose/s", "wrong", "You are not authorized. invalid authorization"),
        ("/firehose/s", "logs", "You are not authorized. invalid authorization"),
        ("/firehose/s", "app", "You are not authorized. invalid authorization"),
        ("/apps/another-app/stream", "app", "You are not authorized. invalid authorization"),
        (f"/apps/{APP}/stream", None, "You are not authorized. authorization not provided"),
    ],
)
def test_who_may_not_is_answered_with_401(target: str, token: str | None, body: str) -> None:
    answer = refusal(target, token)

    assert (answer.status, answer.body, answer.headers) == (401, body, {"WWW-Authenticate": "Basic"})


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/firehose",
        "/firehose/",
        "/firehose/a/b",
        "/firehose/a%2Fb",
        "/firehose/../apps",
        "/apps//stream",
        f"/apps/{APP}",
        f"/apps/{APP}/streams",
        f"/apps/{APP}/../other/stream",
        "/firehose/" + "x" * 257,
        "",
        "//",
        "//[",
        "/%00",
    ],
)
def test_any_other_path_is_not_found(target: str) -> None:
    assert refusal(target).status == 404
    assert refusal(target, None).status == 404


@pytest.mark.parametrize(("query", "explain"), [("", False), ("?explain=1", True), ("?explain=0", False)])
def test_a_client_may_ask_to_be_told_why_it_is_cut_off(query: str, explain: bool) -> None:
    assert stream(f"/firehose/s{query}").explain is explain
