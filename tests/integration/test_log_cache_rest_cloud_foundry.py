"""The REST interface of a log cache in a Cloud Foundry: everybody reads what is theirs (4.5)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from envelope.pb import loggregator_v2_pb2 as v2
from tests.fakes.capi import FakeCapi
from tests.fakes.uaa import FakeUaa
from tests.running_log_cache import APP, log, open_log_cache

OTHER = "9f3c2a41-58cc-4372-a567-0e02b2c3d480"
SERVICE = "0e02b2c3-58cc-4372-a567-9f3c2a41d479"


@contextmanager
def cloud_foundry(certs: Path, tmp_path: Path) -> Iterator[tuple[FakeUaa, FakeCapi, dict[str, Any]]]:
    secret = tmp_path / "secret"
    with FakeUaa(certs) as uaa, FakeCapi(certs, uaa.who) as capi:
        secret.write_text(uaa.client_secret)
        auth = {
            "mode": "uaa",
            "uaa_url": uaa.url,
            "uaa_ca": certs / "ca.crt",
            "uaa_client_id": uaa.client_id,
            "uaa_client_secret_file": secret,
            "capi_ca": certs / "ca.crt",
            "capi_external_url": capi.external_url,
        }
        yield uaa, capi, auth


async def test_in_a_cloud_foundry_everybody_sees_what_is_theirs(certs_dir: Path, tmp_path: Path) -> None:
    with cloud_foundry(certs_dir, tmp_path) as (uaa, capi, auth):
        capi.apps.update({APP: {"alice"}, OTHER: {"bob"}})
        capi.services[SERVICE] = {"alice"}
        capi.names.update({APP: "web", OTHER: "web"})
        capi.page_size = 1
        capi.apps.update({f"{number:08}-0000-0000-0000-000000000000": {"alice"} for number in range(3)})
        alice, admin = uaa.token("openid"), uaa.token("logs.admin", user="operator")
        async with open_log_cache(certs_dir, tmp_path, auth=auth) as cache:
            await cache.put(*[log("x", source_id=source) for source in (APP, OTHER, SERVICE, "doppler")])
            seen = (await cache.get("/api/v1/meta", alice)).json()["meta"].keys()
            everything = (await cache.get("/api/v1/meta", admin)).json()["meta"].keys()
            statuses = [
                (await cache.get(f"/api/v1/read/{source}", alice)).status_code
                for source in (APP, SERVICE, OTHER, "doppler")
            ]

    assert seen == {APP, SERVICE}
    assert everything == {APP, SERVICE, OTHER, "doppler"}
    assert statuses == [200, 200, 404, 404]


async def test_in_a_cloud_foundry_apps_have_names(certs_dir: Path, tmp_path: Path) -> None:
    with cloud_foundry(certs_dir, tmp_path) as (uaa, capi, auth):
        capi.apps.update({APP: {"alice"}, OTHER: {"bob"}})
        capi.names.update({APP: 'my "web", app', OTHER: 'my "web", app'})
        async with open_log_cache(certs_dir, tmp_path, auth=auth) as cache:
            before = time.time_ns() - 2_000_000_000
            await cache.put(
                *[v2.Envelope(source_id=s, timestamp=before, counter={"name": "c", "total": 7}) for s in (APP, OTHER)]
            )
            query = 'c{source_id="my \\"web\\", app"}'
            found = await cache.get("/api/v1/query", uaa.token("openid"), query=query)
            none = await cache.get("/api/v1/query", uaa.token("openid"), query='c{source_id="nobody"}')

    assert [sample["metric"]["source_id"] for sample in found.json()["data"]["result"]] == [APP]
    assert (none.status_code, none.content) == (404, b"")


async def test_when_the_cloud_controller_is_away_nothing_is_read(certs_dir: Path, tmp_path: Path) -> None:
    with cloud_foundry(certs_dir, tmp_path) as (uaa, capi, auth):
        capi.apps[APP] = {"alice"}
        capi.be("failing")
        async with open_log_cache(certs_dir, tmp_path, auth=auth) as cache:
            answers = [
                await cache.get(f"/api/v1/{path}", uaa.token("openid"))
                for path in (f"read/{APP}", "meta", f"query?query=c{{source_id='{APP}'}}", "label/source_id/values")
            ]

    assert [(answer.status_code, answer.content) for answer in answers] == [(404, b"")] * 4
