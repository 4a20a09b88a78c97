"""Paths and tokens become streams, errands or the answers of loggregator.md 3.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.kinds import Keep, Kind
from envelope.selectors import Interest, parse_request
from plumbing.auth import INVALID, NOT_PROVIDED, Access, AuthorityCounts, Decision
from traffic_controller.doors import Door, Endpoint, Stream, cross_origin, find_door, make_stream, refuse
from traffic_controller.http_messages import Answer, Request

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"


class FakeAuthority:
    """Answers by the name of the token."""

    counts = AuthorityCounts()

    async def firehose(self, token: str | None) -> Decision:
        return self._decide(token)

    async def admin(self, token: str | None) -> Decision:
        return self._decide(token)

    async def source(self, token: str | None, source_id: str, *, services: bool = False) -> Decision:
        return self._decide(token)

    async def close(self) -> None:
        pass

    def _decide(self, token: str | None) -> Decision:
        if token is None:
            return Decision(Access.DENIED, NOT_PROVIDED)
        return Decision(Access(token), INVALID if token == "denied" else "for our log")


def door(target: str) -> Door:
    found = find_door(target)
    assert found is not None
    return found


def stream(target: str, *headers: tuple[str, str]) -> Stream:
    return make_stream(door(target), Request("GET", target, headers), "10.0.0.1:4567")


async def answer_to(target: str, token: str | None, *, guids_only: bool = False) -> Answer | None:
    return await refuse(door(target), token, FakeAuthority(), guids_only=guids_only)


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
    asked = stream(f"/apps/{APP}/stream")

    request = parse_request(asked.request)
    assert (asked.endpoint, request.shard_id, asked.keep) == ("stream", "", Keep.APP)
    assert {interest.source for interest in request.interests} == {APP.encode()}


def test_a_stream_knows_who_its_client_is_but_no_more_of_the_query_than_it_needs() -> None:
    asked = stream("/firehose/s?token=secret", ("x-forwarded-for", "1.2.3.4, 5.6.7.8"), ("x-forwarded-for", "9.9.9.9"))

    assert (asked.remote, asked.path) == ("10.0.0.1:4567", "/firehose/s")
    assert asked.forwarded_for == "1.2.3.4, 5.6.7.8, 9.9.9.9"


def test_a_name_is_unquoted_once() -> None:
    assert door("/firehose/a%20b%252F").name == "a b%2F"


@pytest.mark.parametrize(
    ("target", "endpoint"),
    [
        (f"/apps/{APP}/recentlogs?limit=5", Endpoint.RECENT_LOGS),
        (f"/apps/{APP}/containermetrics", Endpoint.CONTAINER_METRICS),
        ("/set-cookie", Endpoint.SET_COOKIE),
    ],
)
def test_other_doors(target: str, endpoint: Endpoint) -> None:
    assert door(target).endpoint is endpoint
    assert not door(target).is_a_stream


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/firehose",
        "/firehose/",
        "/firehose/a/b",
        "/firehose/a%2Fb",
        "/firehose/a%2fb",
        "/firehose/../apps",
        "/firehose/%2e%2e",
        "/firehose/.",
        "/firehose/a#b",
        "/firehose/%00",
        "/firehose/a%0d%0ab",
        "/firehose/%zz",
        "/firehose/%",
        "/firehose/%c0%af",
        "/firehose/%ff",
        "/firehose/" + "x" * 257,
        "/firehose/" + "%78" * 257,
        "//firehose/s",
        "/firehose//s",
        "/apps//stream",
        f"/apps/{APP}",
        f"/apps/{APP}/streams",
        f"/apps/{APP}/../other/stream",
        f"/apps/{APP}%2F..%2Fother/stream",
        f"/apps/{APP}/stream/../../other/stream",
        f"/apps/../apps/{APP}/stream",
        f"/%61pps/{APP}/stream",
        "/set-cookie/x",
        "https://host/firehose/s",
        "*",
        "",
        "//",
        "//[",
        "/%00",
    ],
)
def test_any_other_path_leads_nowhere(target: str) -> None:
    assert find_door(target) is None


@given(st.text(st.sampled_from("/%.2fF0apps\\;#?streamfirehose"), max_size=40))
def test_a_name_never_holds_a_slash_and_is_never_a_step_up(noise: str) -> None:
    for target in (noise, f"/apps/{noise}/stream", f"/firehose/{noise}"):
        found = find_door(target)
        if found is not None and found.endpoint is not Endpoint.SET_COOKIE:
            assert found.name not in ("", ".", "..")
            assert "/" not in found.name
            assert target.partition("?")[0].count("/") <= 4


@pytest.mark.parametrize(
    ("token", "body"),
    [
        (None, b"You are not authorized. authorization not provided"),
        ("denied", b"You are not authorized. invalid authorization"),
        ("hidden", b"You are not authorized. invalid authorization"),
        ("unknown", b"You are not authorized. invalid authorization"),
    ],
)
async def test_a_firehose_that_is_not_granted_is_answered_with_401(token: str | None, body: bytes) -> None:
    answer = await answer_to("/firehose/s", token)

    assert answer is not None
    assert (answer.status, answer.body, dict(answer.headers)["WWW-Authenticate"]) == (401, body, "Basic")


@pytest.mark.parametrize("errand", ["stream", "recentlogs", "containermetrics"])
@pytest.mark.parametrize(
    ("token", "status", "challenge"),
    [(None, 401, "Basic"), ("denied", 401, "Basic"), ("hidden", 404, None), ("unknown", 500, None)],
)
async def test_of_an_app_the_original_tells_a_status_alone(
    errand: str, token: str | None, status: int, challenge: str | None
) -> None:
    answer = await answer_to(f"/apps/{APP}/{errand}", token, guids_only=True)

    assert answer is not None
    assert (answer.status, answer.body, dict(answer.headers).get("WWW-Authenticate")) == (status, b"", challenge)


async def test_with_local_tokens_an_app_may_have_any_name_and_a_refusal_says_why() -> None:
    assert await answer_to("/apps/app-1/stream", "granted") is None
    answer = await answer_to("/apps/app-1/stream", None)
    assert answer is not None
    assert (answer.status, answer.body) == (401, b"You are not authorized. authorization not provided")


@pytest.mark.parametrize("name", ["app-1", APP[:-1], f"{APP}0", "g" + APP[1:], APP.replace("-", "")])
async def test_a_cloud_controller_is_asked_about_guids_only(name: str) -> None:
    answer = await answer_to(f"/apps/{name}/stream", "granted", guids_only=True)

    assert answer == Answer(401)  # type: ignore[arg-type]  # a number will do


@pytest.mark.parametrize("target", ["/firehose/s", f"/apps/{APP}/stream", f"/apps/{APP.upper()}/recentlogs"])
async def test_whoever_may_is_not_refused(target: str) -> None:
    assert await answer_to(target, "granted", guids_only=True) is None


async def test_a_cookie_is_for_everyone() -> None:
    assert await answer_to("/set-cookie", None, guids_only=True) is None


@pytest.mark.parametrize(("query", "explain"), [("", False), ("?explain=1", True), ("?explain=0", False)])
def test_a_client_may_ask_to_be_told_why_it_is_cut_off(query: str, explain: bool) -> None:
    assert stream(f"/firehose/s{query}").explain is explain


def test_pages_of_other_origins_may_read_what_is_meant_for_pages() -> None:
    request = Request("GET", "/", (("origin", "https://page"),))
    credentials = {"Access-Control-Allow-Origin": "https://page", "Access-Control-Allow-Credentials": "true"}

    assert dict(cross_origin(door("/apps/a/recentlogs"), request)) == credentials
    assert dict(cross_origin(door("/set-cookie"), request)) == {
        **credentials,
        "Access-Control-Allow-Headers": "Content-Type",
    }
    assert not cross_origin(door("/apps/a/containermetrics"), request)
    assert "Access-Control-Allow-Origin" not in dict(cross_origin(door("/set-cookie"), Request("GET", "/")))
