"""`python -m tests.end_to_end.event_appender FOLDER`: append numbered events, in one process after another.

For each line `FIRST SEED` it reads, a process is forked that says `opening` and its pid, then how long that took, then
the number behind the last event of each append that was acknowledged, until it is killed; then this one says `dead`.
To fork spares each of them a second of imports.
"""

import os
import random
import sys
import threading
import time
from pathlib import Path

from event_store.storage import StorageSettings, Store
from tests.unit.event_store.storage.events import events


def append(folder: Path, number: int, seed: int) -> None:
    chance = random.Random(seed)
    print("opening", os.getpid(), flush=True)
    store = Store.open(folder, StorageSettings(flush_rows=300, flush_bytes=1 << 30))
    print(f"opened {store.stats().recovery_s:.3f}", flush=True)
    threading.Thread(target=keep_flushing, args=(store,), daemon=True).start()
    while True:
        size = chance.choice((1, 5, 50))
        batch = events(range(number, number + size), t_a=["x"] * size, **{f"t_{number % 7}": ["y"] * size})
        number += size
        store.append([batch], b"%d" % number)
        print(number, flush=True)


def keep_flushing(store: Store) -> None:
    while True:
        if store.flush_due():
            store.flush()
        time.sleep(0.001)  # leaves the interpreter to the other thread


def main(folder: Path) -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            append(folder, *map(int, line.split()))
        os.waitpid(pid, 0)
        print("dead", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
