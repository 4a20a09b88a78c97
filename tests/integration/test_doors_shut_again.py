"""Doors shut to those who were let in: answers grow old, keys are withdrawn, tokens are revoked."""

from pathlib import Path

import pytest

from plumbing.auth.token_verifier import REVOKED_FILE
from tests.guarded_doors import DOORS, house, in_trouble, refusal, signed, told
from tests.running import eventually


@pytest.mark.parametrize("name", ["firehose", "stream", "gateway", "gateway, one source"])
async def test_what_was_said_counts_only_so_long(certs_dir: Path, tmp_path: Path, name: str) -> None:
    door = DOORS[name]
    async with house(certs_dir, tmp_path, "check_token", door.room, cache_s=0.5) as opened:
        known = f"Authorization: bearer {opened.good(door)}"
        assert (await opened.ask(door, known)).status == door.good
        opened.uaa.be("failing")
        opened.capi.be("failing")

        async def is_shut() -> bool:
            return told(await opened.ask(door, known)) == told(in_trouble(door, opened.mode))

        await eventually(is_shut)


@pytest.mark.parametrize("name", ["firehose", "gateway"])
async def test_keys_rotate_and_those_that_are_withdrawn_open_nothing(
    certs_dir: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plumbing.auth.token_keys.REFRESH_S", 0.0)
    door = DOORS[name]
    async with house(certs_dir, tmp_path, "keys", door.room, cache_s=0) as opened:
        old = f"Authorization: bearer {opened.good(door)}"
        assert (await opened.ask(door, old)).status == door.good

        opened.uaa.rotate()
        assert (await opened.ask(door, f"Authorization: bearer {opened.good(door)}")).status == door.good
        assert (await opened.ask(door, old)).status == door.good

        opened.uaa.withdraw_old_keys()
        assert told(await opened.ask(door, old)) == told(refusal(door, "keys"))
        assert (await opened.ask(door, f"Authorization: bearer {opened.good(door)}")).status == door.good


@pytest.mark.parametrize("name", ["firehose", "stream", "gateway"])
async def test_a_token_that_is_revoked_while_its_answer_is_held_opens_nothing_after_that(
    certs_dir: Path, tmp_path: Path, name: str
) -> None:
    door = DOORS[name]
    async with house(certs_dir, tmp_path, "check_token", door.room, cache_s=0.5) as opened:
        token = f"Authorization: bearer {opened.secret(signed(opened, door, jti='gone'))}"
        assert (await opened.ask(door, token)).status == door.good
        opened.uaa.revoked.add("gone")

        async def is_shut() -> bool:
            return told(await opened.ask(door, token)) == told(refusal(door, opened.mode))

        await eventually(is_shut)


async def test_a_local_token_that_is_revoked_opens_nothing_at_once(certs_dir: Path, tmp_path: Path) -> None:
    for room in ("traffic_controller", "reverse_log_proxy"):
        async with house(certs_dir, tmp_path, "local", room) as opened:
            door = next(each for each in DOORS.values() if each.room == room)
            token = f"Authorization: bearer {signed(opened, door, jti='gone')}"
            assert (await opened.ask(door, token)).status == door.good
            (opened.tokens_dir / REVOKED_FILE).write_text('["gone"]')

            assert told(await opened.ask(door, token)) == told(refusal(door, "local"))
            (opened.tokens_dir / REVOKED_FILE).unlink()
