import httpx
import pytest

from plumbing.auth import INVALID, Access, Decision
from plumbing.auth.capi import LogAccess
from plumbing.auth.decisions import GRANTED
from tests.fakes.exchanges import asker, reply

APP = "a3b1c2d4-0000-1111-2222-333344445555"
OTHER = "A3B1C2D4-0000-1111-2222-333344445556"


class Capi:
    """Answers with a status for an app and one for a service instance, and knows the time."""

    def __init__(self, *, internal: bool = True, external: bool = True, cache_s: float = 60.0) -> None:
        self.time = 0.0
        self.app, self.service = 200, 404
        self.seen: list[tuple[str, str]] = []
        self.asker = asker(self.answer)
        self.tally = self.asker.tally
        self.subject = LogAccess(
            self.asker,
            "https://capi.internal:9023" if internal else "",
            "https://api.example" if external else "",
            cache_s=cache_s,
            max_cached=10,
            clock=lambda: self.time,
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append((str(request.url), request.headers["Authorization"]))
        return reply(self.service if request.url.path.startswith("/v3/service_instances/") else self.app)


async def test_the_token_is_passed_on() -> None:
    capi = Capi()

    assert await capi.subject.source("token", APP) == GRANTED
    assert capi.seen == [(f"https://capi.internal:9023/internal/v4/log_access/{APP}", "bearer token")]


@pytest.mark.parametrize(
    ("status", "access"),
    [
        (200, Access.GRANTED),
        (401, Access.DENIED),
        (403, Access.HIDDEN),
        (404, Access.HIDDEN),
        (204, Access.UNKNOWN),
        (302, Access.UNKNOWN),
        (400, Access.UNKNOWN),
        (429, Access.UNKNOWN),
        (500, Access.UNKNOWN),
        (503, Access.UNKNOWN),
    ],
)
async def test_the_status_decides(status: int, access: Access) -> None:
    capi = Capi()
    capi.app = status

    assert (await capi.subject.source("token", APP)).access is access
    assert capi.tally.failed == (access is Access.UNKNOWN)


@pytest.mark.parametrize(
    "source_id",
    [
        "",
        "app",
        f"{APP}\n",
        f" {APP}",
        f"{APP}0",
        APP.replace("-", ""),
        f"{{{APP}}}",
        "../../v3/apps",
        APP[:-1] + "g",
        APP[:-1] + "٣",
    ],
)
async def test_whatever_is_no_guid_is_denied_without_a_question(source_id: str) -> None:
    capi = Capi()

    assert await capi.subject.source("token", source_id, services=True) == Decision(Access.DENIED, INVALID)
    assert capi.seen == []


async def test_hexadecimal_digits_come_in_any_case() -> None:
    assert await Capi().subject.source("token", OTHER) == GRANTED


async def test_an_app_is_asked_about_once_where_a_service_would_do() -> None:
    capi = Capi()

    assert await capi.subject.source("token", APP, services=True) == GRANTED
    assert len(capi.seen) == 1


async def test_a_service_instance_will_do_where_it_is_asked_for() -> None:
    capi = Capi()
    capi.app, capi.service = 404, 200

    assert (await capi.subject.source("token", APP)).access is Access.HIDDEN
    assert await capi.subject.source("token", APP, services=True) == GRANTED
    assert capi.seen[-1] == (f"https://api.example/v3/service_instances/{APP}", "bearer token")


@pytest.mark.parametrize(
    ("app", "service", "access"),
    [
        (404, 404, Access.HIDDEN),
        (404, 500, Access.UNKNOWN),
        (500, 404, Access.UNKNOWN),
        (500, 200, Access.GRANTED),
        (401, 401, Access.DENIED),
        (404, 401, Access.DENIED),
        (401, 503, Access.UNKNOWN),
    ],
)
async def test_of_two_answers_the_doubt_counts_before_the_no(app: int, service: int, access: Access) -> None:
    capi = Capi()
    capi.app, capi.service = app, service

    assert (await capi.subject.source("token", APP, services=True)).access is access


async def test_without_a_public_address_service_instances_are_not_asked_about() -> None:
    capi = Capi(external=False)
    capi.app = 404

    assert (await capi.subject.source("token", APP, services=True)).access is Access.HIDDEN
    assert len(capi.seen) == 1


async def test_without_an_internal_address_the_public_one_says_who_may_see_an_app() -> None:
    capi = Capi(internal=False)

    assert await capi.subject.source("token", APP) == GRANTED
    capi.app, capi.service = 404, 200
    assert await capi.subject.source("token", OTHER, services=True) == GRANTED
    assert [url for url, _ in capi.seen] == [
        f"https://api.example/v3/apps/{APP}",
        f"https://api.example/v3/apps/{OTHER}",
        f"https://api.example/v3/service_instances/{OTHER}",
    ]


async def test_a_yes_is_remembered_for_token_and_source() -> None:
    capi = Capi()
    for token, source in [("token", APP), ("token", APP), ("other", APP), ("token", OTHER), ("other", APP)]:
        await capi.subject.source(token, source)

    assert (capi.tally.asked, capi.tally.cached) == (3, 2)


async def test_while_the_cloud_controller_is_gone_a_yes_serves_until_its_time() -> None:
    capi = Capi()
    await capi.subject.source("token", APP)
    capi.app = 503

    capi.time = 59.9
    assert await capi.subject.source("token", APP) == GRANTED
    capi.time = 60.0
    assert (await capi.subject.source("token", APP)).access is Access.UNKNOWN


async def test_a_no_is_remembered_for_a_moment() -> None:
    capi = Capi()
    capi.app = 404
    await capi.subject.source("token", APP)
    capi.app = 200

    assert (await capi.subject.source("token", APP)).access is Access.HIDDEN
    capi.time = 2.0
    assert await capi.subject.source("token", APP) == GRANTED


async def test_what_a_service_was_granted_is_no_grant_for_an_app() -> None:
    capi = Capi()
    capi.app, capi.service = 404, 200
    await capi.subject.source("token", APP, services=True)

    assert (await capi.subject.source("token", APP)).access is Access.HIDDEN
