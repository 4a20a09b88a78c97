"""`make soak`: what takes too long for the tests. A log cache under load; an event store that is killed and harmed.

`make soak ARGS="--only kills"` runs one part, `--list` names them; whatever else is given is for the log cache. Each
part of the event store is a slow test, and says in one line what was seen. It ends with 1 if a part did not go well.
"""

from __future__ import annotations

import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import NamedTuple

_TESTS = "tests/end_to_end"
_SEEN = "seen: "


class Part(NamedTuple):
    """One part of the soak."""

    name: str
    what: str
    test: str = ""
    """The slow test that it is; none: the log cache."""


PARTS: Sequence[Part] = (
    Part("log-cache", "a log cache under load: memory flat, nothing lost (10 min)"),
    Part("kills", "who appends, flushes and compacts is killed 100 times (5 min)", "test_event_storage_killed.py"),
    Part("deaths", "an event store is killed under load from a Doppler (1 min)", "test_event_store_killed.py"),
    Part("damage", "files are harmed at random 1,000 times (1 min)", "test_event_storage_faults.py -k damaged"),
    Part(
        "full-disk", "a small disk is full 50 times; only for who may mount one", "test_event_storage_faults.py -k full"
    ),
    Part("full-system", "an event store at a Doppler finds no room 30 times (1 min)", "test_event_store_faults.py"),
)


def main() -> int:
    """Run what is asked for; returns 1 if something did not go well."""
    given, others = _arguments()
    if given.list:
        for part in PARTS:
            print(f"{part.name:<18} {part.what}")
        return 0
    chosen = [part for part in PARTS if given.only in (None, part.name)]
    failed = [part.name for part in chosen if not (_tested(part) if part.test else _log_cache(part, others))]
    print(f"did not go well: {', '.join(failed)}" if failed else "all went well")
    return 1 if failed else 0


def _log_cache(part: Part, flags: Sequence[str]) -> bool:
    print(f"{part.name}: {part.what}", flush=True)
    return not subprocess.run([sys.executable, "-m", "benchmarks.log_cache_soak", *flags], check=False).returncode


def _tested(part: Part) -> bool:
    """Run a slow test; what it has seen is told, and all that it said if it failed."""
    began = time.monotonic()
    print(f"{part.name}: {part.what} …", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-rP", "-m", "slow", *f"{_TESTS}/{part.test}".split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout[-20_000:], done.stderr[-5_000:])
    seen = [line.removeprefix(_SEEN) for line in done.stdout.splitlines() if line.startswith(_SEEN)]
    print(f"{part.name}: {'; '.join(seen) or 'nothing was seen'} ({time.monotonic() - began:.0f} s)", flush=True)
    return not done.returncode


def _arguments() -> tuple[Namespace, Sequence[str]]:
    parser = ArgumentParser(
        prog="python -m benchmarks.soaks", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=[part.name for part in PARTS], help="one part alone")
    parser.add_argument("--list", action="store_true", help="name the parts")
    return parser.parse_known_args()


if __name__ == "__main__":
    sys.exit(main())
