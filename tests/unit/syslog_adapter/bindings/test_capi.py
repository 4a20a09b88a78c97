from collections.abc import Iterator
from pathlib import Path

import pytest

from plumbing.tls import client_context
from syslog_adapter.bindings import capi as module
from syslog_adapter.bindings.capi import CapiBindings
from syslog_adapter.bindings.errors import SourceUnavailable
from tests.fakes.capi_drains import FakeCapiDrains
from tests.fakes.https_server import Reply


@pytest.fixture
def capi(certs_dir: Path) -> Iterator[FakeCapiDrains]:
    with FakeCapiDrains(certs_dir) as fake:
        yield fake


def source(fake: FakeCapiDrains, certs: Path, *, batch_size: int = 2, timeout_s: float = 10.0) -> CapiBindings:
    trusting = client_context(certs / "ca.crt", certs / "client.crt", certs / "client.key")
    return CapiBindings(fake.url, trusting, batch_size=batch_size, interval_s=1.0, timeout_s=timeout_s)


async def test_all_pages_are_read(capi: FakeCapiDrains, certs_dir: Path) -> None:
    for number in range(5):
        capi.bind(f"syslog://drain-{number}:514", (f"app-{number}", "org.space.app"))

    bindings = await source(capi, certs_dir).read()

    assert [each.source_id for each in bindings] == [f"app-{number}" for number in range(5)]
    assert {each.hostname for each in bindings} == {"org.space.app"}
    assert capi.asked == [f"batch_size=2&next_id={start}" for start in (0, 2, 4)]


async def test_nothing_bound_is_nothing(capi: FakeCapiDrains, certs_dir: Path) -> None:
    assert await source(capi, certs_dir).read() == ()


@pytest.mark.parametrize("reply", [Reply(500), Reply(404), Reply(200, b"<html>"), Reply(200, {"results": [{"u": 1}]})])
async def test_one_page_that_fails_fails_all(capi: FakeCapiDrains, certs_dir: Path, reply: Reply) -> None:
    for number in range(3):
        capi.bind(f"syslog://drain-{number}:514", (f"app-{number}", ""))
    capi.replies[2] = reply

    with pytest.raises(SourceUnavailable, match=capi.url):
        await source(capi, certs_dir).read()


async def test_one_that_is_away_or_slow_fails(capi: FakeCapiDrains, certs_dir: Path) -> None:
    capi.be("slow")
    with pytest.raises(SourceUnavailable):
        await source(capi, certs_dir, timeout_s=0.1).read()

    capi.be("down")
    with pytest.raises(SourceUnavailable):
        await source(capi, certs_dir).read()


async def test_a_page_and_their_number_are_bounded(
    capi: FakeCapiDrains, certs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PAGES", 3)
    capi.replies = {start: Reply(200, {"results": [], "next_id": 7}) for start in (0, 7)}
    with pytest.raises(SourceUnavailable, match="3 pages"):
        await source(capi, certs_dir).read()

    monkeypatch.setattr(module, "MAX_PAGE_BYTES", 100)
    capi.replies = {0: Reply(200, b" " * 200)}
    with pytest.raises(SourceUnavailable, match="100 bytes"):
        await source(capi, certs_dir).read()
