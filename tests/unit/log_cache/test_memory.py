"""How much memory there is, and how much of it the store may hold."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from log_cache.memory import MemoryLimit, give_back, machine_bytes, resident_bytes

MIB = 1024 * 1024
V2 = "sys/fs/cgroup"
V1 = "sys/fs/cgroup/memory"


def machine(root: Path, groups: str, **limits: str) -> Path:
    """Make the files of a machine whose process is in some control groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for path, limit in limits.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(limit)
    return root


def test_without_control_groups_it_is_the_ram(tmp_path: Path) -> None:
    assert machine_bytes(tmp_path) == psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("groups", "limits"),
    [
        ("0::/\n", {f"{V2}/memory.max": "1000\n"}),
        ("0::/a/b\n", {f"{V2}/a/b/memory.max": "max\n", f"{V2}/a/memory.max": "1000\n"}),
        ("0::/of/the/host\n", {f"{V2}/memory.max": "1000\n"}),
        ("4:memory:/a\n0::/\n", {f"{V1}/a/memory.limit_in_bytes": "1000\n"}),
        ("4:cpu,memory:/a\n", {f"{V1}/memory.limit_in_bytes": "1000", f"{V1}/a/memory.limit_in_bytes": "9" * 19}),
    ],
)
def test_a_control_group_may_allow_less(tmp_path: Path, groups: str, limits: dict[str, str]) -> None:
    assert machine_bytes(machine(tmp_path, groups, **limits)) == 1000


def test_a_group_without_a_limit_changes_nothing(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/a\n3:cpu:/b\n", **{f"{V2}/a/memory.max": "max\n"})

    assert machine_bytes(root) == psutil.virtual_memory().total


def test_the_limit_is_the_lesser_of_a_share_and_a_number() -> None:
    assert MemoryLimit.of(1000, 50).limit_bytes == 500
    assert MemoryLimit.of(1000, 50, 400).limit_bytes == 400
    assert MemoryLimit.of(1000, 50, 600).limit_bytes == 500


def test_the_store_may_hold_what_the_others_leave() -> None:
    limit = MemoryLimit(320 * MIB)

    assert limit.budget_bytes(150 * MIB, 50 * MIB) == (320 - 10 - 8 - 100) * MIB
    assert limit.budget_bytes(400 * MIB, 50 * MIB) == 0
    assert limit.budget_bytes(50 * MIB, 60 * MIB) == (320 - 10 - 8) * MIB


def test_what_is_resident_is_what_the_kernel_says() -> None:
    assert resident_bytes() == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)


def test_what_was_freed_is_given_back() -> None:
    kept = [bytes(100_000) for _ in range(1000)]
    last = bytes(100_000)
    kept.clear()
    before = resident_bytes()

    give_back()

    assert resident_bytes() <= before
    assert len(last) == 100_000


FILLER = """
import asyncio, random, time
from envelope.kernel import log_batch
from envelope.pb.loggregator_v2_pb2 import Envelope
from log_cache.cache import Cache
from log_cache.memory import MemoryLimit, resident_bytes
from log_cache.store import Store, StoreLimits

LIMIT, TOTAL, SOURCES, SIZE = 250 << 20, 1_500_000, 200, 100
chance = random.Random(1)
lines = [chance.randbytes(200).hex().encode() for _ in range(10_000)]
tags = {"deployment": "production", "job": "cell"}
heads = [Envelope(source_id=f"{number:036}", tags=tags).SerializeToString() for number in range(SOURCES)]

async def fill():
    store = Store(StoreLimits())
    cache = Cache(store, time.time_ns)
    others = resident_bytes()
    keeping = asyncio.create_task(cache.keep_within(MemoryLimit(LIMIT), 0.1))
    for start in range(0, TOTAL, SIZE):
        which = chance.randrange(len(lines) - SIZE)
        time_ns = start * 1000 + chance.randrange(100_000_000)
        cache.put(log_batch(lines[which : which + SIZE], chance.choice(heads), time_ns, False), SIZE)
        if store.received % 5000 == 0:
            await asyncio.sleep(0)
    keeping.cancel()
    cache.tidy(MemoryLimit(LIMIT))
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    peak = int(status["VmHWM"].split()[0]) * 1024
    print(peak, LIMIT, store.held_bytes, LIMIT - others, store.received == store.held + store.expired + store.waiting)

asyncio.run(fill())
"""


@pytest.mark.slow
def test_a_process_stays_within_its_limit_and_uses_it() -> None:
    done = subprocess.run([sys.executable, "-c", FILLER], capture_output=True, text=True, check=True, timeout=100)

    peak, limit, held, possible, balanced = done.stdout.split()
    assert int(peak) <= int(limit)
    assert int(held) > 0.6 * int(possible)
    assert balanced == "True"
