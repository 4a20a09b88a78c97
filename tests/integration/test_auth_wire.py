"""An authority asks a UAA and a Cloud Controller over HTTPS, from trio and from asyncio (loggregator.md 3.1, 3.2)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trio
from joserfc.jwk import OctKey
from prometheus_client import generate_latest

from plumbing.auth import Access, AuthSettings, Decision, make_authority
from plumbing.auth.metrics import expose_authority
from plumbing.metrics import Metrics
from plumbing.tls import client_context
from tests.asked_authority import APP, ROOT, SECRET, SERVICE, Asked
from tests.fakes.https_server import Mood, Reply


async def test_scopes_decide(asked: Asked, verify: str) -> None:
    authority = asked.authority(uaa_verify=verify)
    reader, admin, user = (asked.uaa.token(scope, "openid") for scope in ("doppler.firehose", "logs.admin", "uaa.user"))

    assert await asked.access(authority.firehose, reader) is Access.GRANTED
    assert await asked.access(authority.firehose, admin) is Access.DENIED
    assert await asked.access(authority.admin, reader) is Access.GRANTED
    assert await asked.access(authority.admin, admin) is Access.GRANTED
    assert await asked.access(authority.admin, user) is Access.DENIED
    await asked.run(authority.close)


async def test_bad_tokens_are_denied(asked: Asked, verify: str) -> None:
    authority = asked.authority(uaa_verify=verify)
    good = asked.uaa.token("doppler.firehose")

    for bad in (None, "", "opaque", good[:-8], f"{good}\r\n", asked.uaa.token("doppler.firehose", expires_in=-5)):
        assert await asked.access(authority.firehose, bad) is Access.DENIED


async def test_a_revoked_token_is_denied_once_what_was_said_of_it_is_old(asked: Asked) -> None:
    authority = asked.authority(cache_s=0)
    token = asked.uaa.token("doppler.firehose", jti="to be revoked")
    assert await asked.access(authority.firehose, token) is Access.GRANTED

    asked.uaa.revoked.add("to be revoked")

    assert await asked.access(authority.firehose, token) is Access.DENIED


async def test_the_uaa_is_asked_once_about_a_token(asked: Asked) -> None:
    authority = asked.authority()
    token = asked.uaa.token("doppler.firehose")

    async def many() -> Decision:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(authority.firehose, token)
        return await authority.firehose(token)

    assert (await asked.run(many)).access is Access.GRANTED
    assert asked.uaa.asked("/check_token") == 1
    metrics = Metrics()
    expose_authority(metrics, "door", authority.counts)
    exposed = generate_latest(metrics.registry).decode()
    assert 'door_auth_questions_total{authority="uaa",outcome="asked"} 1.0' in exposed
    assert 'door_auth_questions_total{authority="uaa",outcome="cached"} 20.0' in exposed


@pytest.mark.parametrize("mood", ["down", "slow", "garbage", "failing", "huge", "endless"])
async def test_a_uaa_in_trouble_lets_nobody_in(asked: Asked, verify: str, mood: Mood) -> None:
    authority = asked.authority(uaa_verify=verify, timeout_s=0.5 if mood in ("slow", "endless") else 10.0)
    asked.uaa.be(mood)

    assert await asked.access(authority.firehose, asked.uaa.token("doppler.firehose")) is Access.UNKNOWN
    assert authority.counts.readings()["uaa", "failed"] == 1


@pytest.mark.parametrize("mood", ["down", "slow", "garbage", "failing", "huge"])
async def test_what_is_known_serves_while_the_uaa_is_in_trouble(asked: Asked, verify: str, mood: Mood) -> None:
    authority = asked.authority(uaa_verify=verify, timeout_s=5.0)
    token = asked.uaa.token("doppler.firehose")
    assert await asked.access(authority.firehose, token) is Access.GRANTED

    asked.uaa.be(mood)

    assert await asked.access(authority.firehose, token) is Access.GRANTED


async def test_a_uaa_that_does_not_know_us_lets_nobody_in(asked: Asked) -> None:
    asked.secret.write_text("wrong")

    assert await asked.access(asked.authority().firehose, asked.uaa.token("doppler.firehose")) is Access.UNKNOWN


async def test_a_uaa_of_another_ca_is_not_believed(asked: Asked, verify: str, other_certs_dir: Path) -> None:
    authority = asked.authority(uaa_verify=verify, uaa_ca=other_certs_dir / "ca.crt")

    assert await asked.access(authority.firehose, asked.uaa.token("doppler.firehose")) is Access.UNKNOWN
    assert asked.uaa.requests == []


async def test_keys_rotate(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plumbing.auth.token_keys.REFRESH_S", 0.0)
    authority = asked.authority(uaa_verify="keys")
    old = asked.uaa.token("doppler.firehose")
    assert await asked.access(authority.firehose, old) is Access.GRANTED

    asked.uaa.rotate()
    assert await asked.access(authority.firehose, asked.uaa.token("doppler.firehose")) is Access.GRANTED
    assert await asked.access(authority.firehose, old) is Access.GRANTED

    asked.uaa.withdraw_old_keys()
    assert await asked.access(authority.firehose, asked.uaa.token("doppler.firehose")) is Access.GRANTED
    asked.uaa.rotate(kid="key-2")
    assert await asked.access(authority.firehose, asked.uaa.token("doppler.firehose")) is Access.GRANTED
    assert await asked.access(authority.firehose, old) is Access.DENIED


@pytest.mark.parametrize("listing", [("n", "e"), ("value",)])
async def test_keys_may_be_given_either_way(asked: Asked, listing: tuple[str, ...]) -> None:
    asked.uaa.listing = listing
    authority = asked.authority(uaa_verify="keys")

    assert await asked.access(authority.firehose, asked.uaa.token("doppler.firehose")) is Access.GRANTED


async def test_issuer_and_audience_are_checked_where_they_are_set(asked: Asked) -> None:
    strict = {"uaa_verify": "keys", "uaa_issuer": asked.uaa.issuer, "uaa_audience": "doppler"}
    authority = asked.authority(**strict)

    for changes, access in [
        ({}, Access.GRANTED),
        ({"iss": "https://elsewhere.example/oauth/token"}, Access.DENIED),
        ({"aud": ["cf"]}, Access.DENIED),
    ]:
        assert await asked.access(authority.firehose, asked.uaa.token("doppler.firehose", **changes)) is access


@pytest.mark.parametrize(("allowed", "access"), [(True, Access.GRANTED), (False, Access.DENIED)])
async def test_shared_secrets_count_where_they_are_allowed(asked: Asked, allowed: bool, access: Access) -> None:
    asked.uaa.secret = SECRET
    claims = asked.uaa.claims("doppler.firehose")
    token = asked.uaa.signed({"alg": "HS256", "kid": "shared"}, claims, OctKey.import_key(SECRET))

    assert await asked.access(asked.authority(uaa_verify="keys", uaa_symmetric_keys=allowed).firehose, token) is access


async def test_a_redirect_is_not_followed(asked: Asked) -> None:
    path = f"/internal/v4/log_access/{APP}"
    asked.capi.replies[path] = Reply(302, headers={"Location": f"{asked.uaa.url}/token_keys"})

    assert await asked.access(asked.authority().source, asked.uaa.token(user="alice"), APP) is Access.UNKNOWN
    assert asked.uaa.asked("/token_keys") == 0


async def test_a_packed_answer_is_not_unpacked(asked: Asked) -> None:
    path = f"/internal/v4/log_access/{APP}"
    asked.capi.replies[path] = Reply(200, b"\x1f\x8b" + bytes(100), headers={"Content-Encoding": "gzip"})

    assert await asked.access(asked.authority().source, asked.uaa.token(user="alice"), APP) is Access.GRANTED


async def test_no_user_gets_the_cookie_of_another(asked: Asked) -> None:
    authority = asked.authority()
    for user in ("alice", "bob"):
        await asked.access(authority.source, asked.uaa.token(user=user), APP)
        await asked.access(authority.firehose, asked.uaa.token(user=user))

    assert len(asked.capi.requests) == len(asked.uaa.requests) == 2
    assert not any("cookie" in seen.headers for seen in (*asked.capi.requests, *asked.uaa.requests))


async def test_proxies_of_the_environment_are_not_used(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    assert await asked.access(asked.authority().firehose, asked.uaa.token("doppler.firehose")) is Access.GRANTED


async def test_whoever_gives_up_does_no_harm_to_the_next(asked: Asked) -> None:
    authority = asked.authority(max_connections=1)
    token = asked.uaa.token("doppler.firehose")

    async def give_up() -> None:
        with anyio.move_on_after(0.2):
            await authority.firehose(token)

    asked.uaa.be("slow")
    for _ in range(3):
        await asked.run(give_up)
    asked.uaa.be("well")

    assert await asked.access(authority.firehose, token) is Access.GRANTED


async def test_questions_beyond_the_bound_wait_for_their_turn(asked: Asked) -> None:
    authority = asked.authority(max_connections=2)
    tokens = [asked.uaa.token("doppler.firehose") for _ in range(12)]
    decisions: list[Decision] = []

    async def ask(token: str) -> None:
        decisions.append(await authority.firehose(token))

    async def many() -> None:
        async with anyio.create_task_group() as tasks:
            for token in tokens:
                tasks.start_soon(ask, token)

    await asked.run(many)

    assert {decision.access for decision in decisions} == {Access.GRANTED}
    assert len(decisions) == asked.uaa.asked("/check_token") == 12


async def test_no_answer_and_no_log_holds_a_token(asked: Asked, verify: str, capfd: pytest.CaptureFixture[str]) -> None:
    authority = asked.authority(uaa_verify=verify)
    token = asked.uaa.token("doppler.firehose")
    asked.uaa.be("down")
    asked.capi.be("down")

    decisions = [
        await asked.run(partial(authority.firehose, token)),
        await asked.run(partial(authority.source, token, APP)),
    ]

    written = "".join(capfd.readouterr()) + repr(decisions)
    assert "authority_fails" in written
    assert not any(part in written for part in token.split("."))


@contextmanager
def process(module: str, *arguments: str) -> Iterator[Any]:
    """Run a fake as a process, and yield what it says of itself."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        try:
            yield json.loads(running.stdout.readline())
        finally:
            running.stdin.close()
            assert running.wait(10) == 0


async def test_both_fakes_run_as_processes(certs_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("word")
    certs, ca = str(certs_dir), certs_dir / "ca.crt"
    with (
        process("tests.fakes.uaa", "--certs", certs, "--client-secret", "word") as uaa,
        process("tests.fakes.capi", "--certs", certs, "--uaa", uaa["url"], "--app", f"{APP}=alice") as capi,
    ):
        async with httpx.AsyncClient(verify=client_context(ca), trust_env=False) as client:
            form = {"user": "alice", "scope": "doppler.firehose openid"}
            token = (await client.post(f"{uaa['url']}/oauth/token", data=form)).json()["access_token"]
        authority = make_authority(
            AuthSettings(
                mode="uaa",
                uaa_url=uaa["url"],
                uaa_ca=ca,
                uaa_client_id="doppler",
                uaa_client_secret_file=tmp_path / "secret",
                capi_url=capi["url"],
                capi_external_url=capi["external_url"],
                capi_ca=ca,
                capi_cert=certs_dir / "client.crt",
                capi_key=certs_dir / "client.key",
            )
        )
        with trio.fail_after(20):
            assert (await authority.firehose(token)).access is Access.GRANTED
            assert (await authority.source(token, APP)).access is Access.GRANTED
            assert (await authority.source(token, SERVICE, services=True)).access is Access.HIDDEN
            assert (await authority.source(token[:-9], APP)).access is Access.DENIED
        await authority.close()
