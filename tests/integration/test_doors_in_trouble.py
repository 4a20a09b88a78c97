"""Doors whose UAA or Cloud Controller cannot be asked: they stay open to those they let in, and shut to all others."""

from pathlib import Path

import pytest

from tests.fakes.https_server import Mood
from tests.guarded_doors import DOORS, house, in_trouble, refusal, told

TROUBLES: tuple[Mood, ...] = ("down", "slow", "garbage", "failing", "huge", "endless")
REMOTE = ("check_token", "keys")


@pytest.mark.parametrize("mode", REMOTE)
@pytest.mark.parametrize("mood", TROUBLES)
async def test_a_uaa_in_trouble_lets_in_those_it_has_let_in_and_nobody_else(
    certs_dir: Path, tmp_path: Path, mode: str, mood: Mood
) -> None:
    for room, doors in (
        ("traffic_controller", ["firehose"]),
        ("reverse_log_proxy", ["gateway", "gateway, one source"]),
    ):
        async with house(certs_dir, tmp_path, mode, room, timeout_s=0.5) as opened:
            known = {name: f"Authorization: bearer {opened.good(DOORS[name])}" for name in doors}
            for name in doors:
                assert (await opened.ask(DOORS[name], known[name])).status == DOORS[name].good

            opened.uaa.be(mood)

            for door in (DOORS[name] for name in doors):
                stranger = await opened.ask(door, f"Authorization: bearer {opened.good(door)}")
                if mode == "keys":  # which are known, and nobody has to be asked
                    assert stranger.status == door.good
                else:
                    assert told(stranger) == told(in_trouble(door, mode))
            for name in doors:
                assert (await opened.ask(DOORS[name], known[name])).status == DOORS[name].good
            opened.uaa.be("well")
            for door in (DOORS[name] for name in doors):
                assert (await opened.ask(door, f"Authorization: bearer {opened.good(door)}")).status == door.good


@pytest.mark.parametrize("mood", TROUBLES)
async def test_a_uaa_that_never_gave_its_keys_lets_nobody_in(certs_dir: Path, tmp_path: Path, mood: Mood) -> None:
    for door in (DOORS["firehose"], DOORS["gateway"], DOORS["gateway, one source"]):
        async with house(certs_dir, tmp_path, "keys", door.room, timeout_s=0.5) as opened:
            opened.uaa.be(mood)
            reply = await opened.ask(door, f"Authorization: bearer {opened.good(door)}")

        assert told(reply) == told(refusal(door, "keys"))


@pytest.mark.parametrize("mood", [mood for mood in TROUBLES if mood != "garbage"])
async def test_a_cloud_controller_in_trouble_lets_in_those_it_has_let_in_and_nobody_else(
    certs_dir: Path, tmp_path: Path, mood: Mood
) -> None:
    for room in ("traffic_controller", "reverse_log_proxy"):
        async with house(certs_dir, tmp_path, "check_token", room, timeout_s=0.5) as opened:
            door, *others = [each for each in DOORS.values() if each.room == room and each.is_for_apps]
            known = f"Authorization: bearer {opened.good(door)}"
            assert (await opened.ask(door, known)).status == door.good

            opened.capi.be(mood)

            for each in (door, *others):
                stranger = await opened.ask(each, f"Authorization: bearer {opened.good(each)}")
                assert told(stranger) == told(in_trouble(each, opened.mode))
                assert (await opened.ask(each, known)).status == each.good
            opened.capi.be("well")
            assert (await opened.ask(door, f"Authorization: bearer {opened.good(door)}")).status == door.good


async def test_of_a_cloud_controller_the_status_counts_whatever_else_it_says(certs_dir: Path, tmp_path: Path) -> None:
    door = DOORS["stream"]
    async with house(certs_dir, tmp_path, "check_token", door.room) as opened:
        opened.capi.be("garbage")

        assert (await opened.ask(door, f"Authorization: bearer {opened.good(door)}")).status == door.good
