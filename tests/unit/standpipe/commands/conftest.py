"""A system that is read by commands: its traffic controller answers in memory, and no time is lost."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from plumbing import websocket_reader
from plumbing.websocket_reader import Source
from tests.fakes.firehose import Serve


class FakeSystem:
    """A data directory that names a traffic controller, and what that does with each connection."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.scripts: list[Serve] = []
        self.dialled: list[Source] = []

    async def dial(self, source: Source) -> trio.abc.Stream:
        self.dialled.append(source)
        if not self.scripts:
            raise ConnectionRefusedError(111, "Connection refused")
        ours, theirs = trio.testing.memory_stream_pair()
        trio.lowlevel.spawn_system_task(self.scripts.pop(0), theirs)
        return ours


@pytest.fixture
def fake_system(certs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    (tmp_path / "certs").symlink_to(certs_dir)
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "admin").write_text("a-token\n")
    (tmp_path / "endpoints.json").write_text('{"traffic_controller": "127.0.0.1:8081"}')
    system = FakeSystem(tmp_path)
    monkeypatch.setattr(websocket_reader, "_dial", system.dial)
    # Nothing here waits for anything outside: time passes when all tasks wait for it.
    monkeypatch.setattr(trio, "run", partial(trio.run, clock=trio.testing.MockClock(autojump_threshold=0)))
    return system
