"""An authority asks a Cloud Controller over HTTPS who may read what, from either event loop (loggregator.md 3.2)."""

from pathlib import Path

import pytest

from plumbing.auth import Access
from tests.asked_authority import APP, SERVICE, Asked
from tests.fakes.https_server import Mood


async def test_an_app_is_its_users_to_read(asked: Asked) -> None:
    authority = asked.authority()

    for token, source, access in [
        (asked.uaa.token(user="alice"), APP, Access.GRANTED),
        (asked.uaa.token(user="bob"), APP, Access.HIDDEN),
        (asked.uaa.token("cloud_controller.admin", user="root"), APP, Access.GRANTED),
        (asked.uaa.token("doppler.firehose", user="bob"), APP, Access.HIDDEN),
        (asked.uaa.token(user="alice"), SERVICE, Access.HIDDEN),
        (asked.uaa.token(user="alice", expires_in=-5), APP, Access.DENIED),
        ("opaque", APP, Access.DENIED),
        (None, APP, Access.DENIED),
    ]:
        assert await asked.access(authority.source, token, source) is access


async def test_a_service_instance_is_its_users_to_read(asked: Asked) -> None:
    authority = asked.authority()
    alice, bob = asked.uaa.token(user="alice"), asked.uaa.token(user="bob")

    assert await asked.access(authority.source, alice, SERVICE, services=True) is Access.GRANTED
    assert await asked.access(authority.source, alice, APP, services=True) is Access.GRANTED
    assert await asked.access(authority.source, bob, SERVICE, services=True) is Access.HIDDEN
    assert asked.capi.asked(APP) == [f"/internal/v4/log_access/{APP}"]


async def test_what_is_no_guid_is_not_asked_about(asked: Asked) -> None:
    token = asked.uaa.token(user="alice")

    for source in ("app", "../v3/apps", f"{APP}/../{SERVICE}", f"{APP}?a=b", f"{APP}\r\nX: y"):
        assert await asked.access(asked.authority().source, token, source, services=True) is Access.DENIED
    assert asked.capi.requests == []


async def test_without_our_certificate_the_cloud_controller_does_not_answer(
    asked: Asked, other_certs_dir: Path
) -> None:
    other = other_certs_dir / "client"
    authority = asked.authority(capi_cert=other.with_suffix(".crt"), capi_key=other.with_suffix(".key"))

    assert await asked.access(authority.source, asked.uaa.token(user="alice"), APP) is Access.UNKNOWN
    assert asked.capi.requests == []


@pytest.mark.parametrize("mood", ["down", "slow", "failing", "huge", "endless"])
async def test_a_cloud_controller_in_trouble_lets_in_those_it_has_let_in(asked: Asked, mood: Mood) -> None:
    authority = asked.authority(timeout_s=0.5 if mood in ("slow", "endless") else 10.0)
    alice, again = asked.uaa.token(user="alice"), asked.uaa.token(user="alice")
    assert await asked.access(authority.source, alice, APP) is Access.GRANTED

    asked.capi.be(mood)

    assert await asked.access(authority.source, alice, APP) is Access.GRANTED
    assert await asked.access(authority.source, again, APP) is Access.UNKNOWN
