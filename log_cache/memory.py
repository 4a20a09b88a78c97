"""How much memory there is, how much this process takes, and how much of that the store may hold."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_RESERVE_BYTES = 8 * 1024 * 1024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """What the whole process may take, as the kernel counts it, and the part of it that is the store's."""

    limit_bytes: int

    @classmethod
    def of(cls, machine_bytes: int, percent: float, at_most_bytes: int = 0) -> MemoryLimit:
        """Allow that share of the machine, and no more than `at_most_bytes` unless that is 0."""
        share = int(machine_bytes * percent / 100)
        return cls(min(share, at_most_bytes) if at_most_bytes else share)

    def budget_bytes(self, resident_bytes: int, held_bytes: int) -> int:
        """Say how much the store may hold, when the process takes so much and the store so much of that.

        A thirty-second part of the limit and 8 MiB are left free for what comes and goes between two looks.
        """
        others = max(0, resident_bytes - held_bytes)
        return max(0, self.limit_bytes - self.limit_bytes // 32 - _RESERVE_BYTES - others)


def machine_bytes(root: Path = Path("/")) -> int:
    """Say how much memory this machine lets us have: the least of its RAM and what the control groups allow."""
    return min([psutil.virtual_memory().total, *_group_limits(root)])


def resident_bytes() -> int:
    """Say how much memory of this process is resident, by the kernel's count."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * _PAGE_BYTES


def _group_limits(root: Path) -> Iterator[int]:
    """Read the limits of the groups we are in and of those around them, versions 1 and 2; "max" stands for none."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _limits_along(root / "sys/fs/cgroup", path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits_along(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes")


def _limits_along(mount: Path, path: str, name: str) -> Iterator[int]:
    """Read a limit at each step of a path; in a container the path may be the host's, and only the mount be there."""
    group = mount
    for step in ["", *path.strip("/").split("/")]:
        group = group / step
        try:
            text = (group / name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            yield int(text)


def give_back() -> None:
    """Give memory that was freed back to the kernel, if the C library can, which takes about a millisecond."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))
