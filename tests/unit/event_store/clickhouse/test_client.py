"""Over a real socket: what is tried again, what is not, and what is never told."""

from __future__ import annotations

from pathlib import Path

import pytest

from event_store.clickhouse.client import ClickHouseRefused, ClickHouseUnavailable, open_clickhouse
from event_store.clickhouse.config import ClickHouseSettings
from plumbing.config import ConfigError
from tests.fakes.http_receiver import Posted, Said
from tests.unit.event_store.clickhouse.running import PASSWORD, clickhouse, password_file, settings

CREATE = "CREATE TABLE IF NOT EXISTS `default`.`events`\n    `time` DateTime"


async def test_a_statement_goes_in_the_body_and_the_password_in_a_header(tmp_path: Path) -> None:
    with clickhouse(user="writer", password=PASSWORD) as server:
        given = settings(server, username="writer", password_file=password_file(tmp_path))
        async with open_clickhouse(given) as client:
            await client.ask(CREATE)
    (post,) = server.posts

    assert (post.body.decode(), "query=CREATE" in post.query) == (CREATE, False)
    assert (post.headers["x-clickhouse-key"], PASSWORD in post.query) == (PASSWORD, False)


async def test_who_is_not_let_in_is_told_so_without_the_password(tmp_path: Path) -> None:
    with clickhouse(user="writer", password="another") as server:
        given = settings(server, username="writer", password_file=password_file(tmp_path))
        async with open_clickhouse(given) as client:
            with pytest.raises(ClickHouseRefused, match=r"127\.0\.0\.1:\d+: HTTP 403: Code: 516") as refused:
                await client.ask("SELECT 1")

    assert PASSWORD not in str(refused.value)
    assert len(server.posts) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_work_later_is_tried_again(status: int) -> None:
    answers = [Said(status, b"not now", {"Retry-After": "0"})] * 2

    def fail_at_first(_: Posted) -> Said | None:
        return answers.pop() if answers else None

    with clickhouse() as server:
        server.before = fail_at_first
        async with open_clickhouse(settings(server, retry_s=60)) as client:
            await client.ask(CREATE)

    assert (client.retries, len(server.posts)) == (2, 3)


async def test_it_is_given_up_after_a_while() -> None:
    given = ClickHouseSettings(url="http://127.0.0.1:1", retry_s=0.3)
    async with open_clickhouse(given) as client:
        with pytest.raises(ClickHouseUnavailable, match=r"^127\.0\.0\.1:1: "):
            await client.ask("SELECT 1")


async def test_an_exception_behind_a_200_is_none_that_worked() -> None:
    with clickhouse() as server:
        server.before = lambda _: Said(200, b"Code: 241. Memory limit", {"X-ClickHouse-Exception-Code": "241"})
        async with open_clickhouse(settings(server)) as client:
            with pytest.raises(ClickHouseUnavailable, match="Memory limit"):
                await client.ask("SELECT 1")


async def test_a_password_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = password_file(tmp_path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        async with open_clickhouse(ClickHouseSettings(url="http://ch", username="u", password_file=path)):
            pass
