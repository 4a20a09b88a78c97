"""Kill -9 whoever writes events, at random points: nothing acknowledged is lost, and nothing comes twice."""

import os
import random
import secrets
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from event_store.storage import StorageSettings, Store
from tests.unit.event_store.storage.events import numbers_in


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_what_was_acknowledged_survives_kills(tmp_path: Path, kills: int) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    acknowledged = 0

    command = [sys.executable, "-m", "tests.end_to_end.event_appender", tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as appender:
        for kill in range(kills):
            told = killed(appender, acknowledged, chance)
            with closing(Store.open(tmp_path, StorageSettings())) as store:
                stats, numbers, marks = store.stats(), numbers_in(store.snapshot()), store.marks()
            print(f"kill {kill}: {len(numbers)} events, {stats.segments} segments, opened in {stats.recovery_s:.3f} s")
            assert numbers == list(range(len(numbers)))
            assert len(numbers) >= max([acknowledged, *told])
            assert stats.damages == ()
            assert [int(mark) for mark in marks[-1:]] == [len(numbers)][: len(marks)]
            assert len(set(marks)) == len(marks)
            acknowledged = len(numbers)
        assert appender.stdin is not None
        appender.stdin.close()
    assert acknowledged > 0


def killed(appender: subprocess.Popen[str], first: int, chance: random.Random) -> list[int]:
    """Let a process append, kill it at some moment, and return what it had acknowledged."""
    assert appender.stdin is not None
    assert appender.stdout is not None
    appender.stdin.write(f"{first} {chance.getrandbits(32)}\n")
    appender.stdin.flush()
    opening, pid = appender.stdout.readline().split()
    assert opening == "opening"
    count = chance.choice((0, 1, 2, *(chance.randrange(60) for _ in "abcd")))
    lines = [appender.stdout.readline() for _ in range(count)]
    os.kill(int(pid), signal.SIGKILL)
    while lines[-1:] != ["dead\n"]:
        lines.append(appender.stdout.readline())
        assert lines[-1], "the appender ended"
    return [int(line) for line in lines if line.strip().isdecimal()]
