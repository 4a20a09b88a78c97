from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from standpipe.supervisor import supervisor as supervisor_module
from standpipe.supervisor.child import StartFailed
from standpipe.supervisor.rooms import DOPPLER, METRON, TRAFFIC_CONTROLLER
from standpipe.supervisor.supervisor import Supervisor, open_supervisor
from tests.unit.standpipe.supervisor.fakes import DIE_AT_ONCE, DRAIN_WHEN_ASKED, NEVER_DRAIN, NEVER_READY, REFUSE, fake

ROOMS = {"doppler-0": DOPPLER, "doppler-1": DOPPLER, "metron": METRON, "traffic_controller": TRAFFIC_CONTROLLER}


@asynccontextmanager
async def _supervisor(certs_dir: Path) -> AsyncIterator[tuple[Supervisor, list[str]]]:
    said: list[str] = []
    with trio.fail_after(20):
        async with open_supervisor(
            certs_dir.parent, pass_on=lambda name, line: said.append(f"{name} {line}")
        ) as supervisor:
            yield supervisor, said


async def test_knows_where_everything_listens(certs_dir: Path) -> None:
    async with _supervisor(certs_dir) as (supervisor, _):
        await supervisor.start([fake(DRAIN_WHEN_ASKED, name=name) for name in ("doppler-0", "doppler-1")])
        assert supervisor.endpoints == {"doppler-0": "127.0.0.1:4711", "doppler-1": "127.0.0.1:4711"}


async def test_stops_in_the_order_of_the_flow_whatever_the_order_of_the_start(certs_dir: Path) -> None:
    async with _supervisor(certs_dir) as (supervisor, said):
        await supervisor.start([fake(DRAIN_WHEN_ASKED, name=name, room=room) for name, room in ROOMS.items()])
    assert (said[0], said[-1]) == ("metron draining", "traffic_controller draining")
    assert sorted(said[1:3]) == ["doppler-0 draining", "doppler-1 draining"]
    assert all(child.ended_cleanly for child in supervisor.children)


async def test_who_does_not_drain_holds_nobody_up_for_long_and_is_killed(
    certs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "KILL_AFTER_S", 0.6)
    async with _supervisor(certs_dir) as (supervisor, said):
        await supervisor.start([fake(NEVER_DRAIN, name="metron", room=METRON)])
        await supervisor.start([fake(DRAIN_WHEN_ASKED, name="doppler-0")])
    assert "doppler-0 draining" in said
    assert [child.ended_cleanly for child in supervisor.children] == [False, True]


async def test_one_that_does_not_start_takes_the_others_with_it(certs_dir: Path) -> None:
    async with _supervisor(certs_dir) as (supervisor, _):
        with pytest.raises(StartFailed, match="nowhere"):
            await supervisor.start([fake(REFUSE, name="doppler-0"), fake(NEVER_READY, name="doppler-1")])
        assert all(child.ended.is_set() for child in supervisor.children)


async def test_a_book_that_cannot_be_kept_stops_nothing(certs_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(certs_dir, tmp_path / "certs")
    (tmp_path / "ledger").touch()  # no directory
    async with open_supervisor(tmp_path, pass_on=lambda *_: None) as supervisor:
        await supervisor.start([fake(DIE_AT_ONCE, name="doppler-0")])
        (child,) = supervisor.children
        child.book = {"component": "doppler-0", "incarnation": "a", "accounts": []}
        with trio.fail_after(10):
            while child.restarts < 2:
                await trio.sleep(0.01)


async def test_stopping_what_has_stopped_does_nothing(certs_dir: Path) -> None:
    async with _supervisor(certs_dir) as (supervisor, said):
        await supervisor.start([fake(DRAIN_WHEN_ASKED, name="doppler-0")])
        await supervisor.stop()
    assert said == ["doppler-0 draining"]
