"""The load generator of the UDP doors: one ready-made datagram for each envelope, on schedule.

It never skips: what is late is sent at once, and how late it was is reported.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from itertools import cycle

from benchmarks.pace import Paced
from benchmarks.worker import Answer, arguments, obey
from benchmarks.workload import SEED, SOURCES, make_batches
from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from envelope.v2_to_v1 import to_v1
from plumbing.config import parse_listen

_TICK_S = 0.001
_HAND = 16  # datagrams between two looks at the clock


def dropsonde_logs() -> list[bytes]:
    """Give the logs of the workload as v1 has them, as their senders would: without the tags that an agent adds."""
    envelopes = (each for batch in make_batches(tagged=False) for each in EnvelopeBatch.FromString(batch).batch)
    return [v1.SerializeToString() for each in envelopes if each.HasField("log") for v1 in to_v1(each)]


def statsd_lines() -> list[bytes]:
    """Give lines of counters, gauges and times of as many origins as the workload has sources."""
    chance = random.Random(SEED)
    kinds = ("requests:{}|c", "load:{}|g", "latency:{}|ms|#route:checkout")
    return [
        f"shop-{number % SOURCES}.{chance.choice(kinds).format(chance.randrange(1, 1000))}".encode()
        for number in range(10_000)
    ]


_DATAGRAMS = {"dropsonde": dropsonde_logs, "statsd": statsd_lines}


class DatagramSender(Paced):
    """One socket, and how far it has got."""

    def __init__(self, address: str, datagrams: list[bytes]) -> None:
        super().__init__()
        self._datagrams = cycle(datagrams)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(parse_listen(address))

    def start(self, rate: float, seconds: float) -> Answer:
        """Begin to send `rate` datagrams a second for so many seconds."""
        total = max(1, round(rate * seconds))
        self._begun()
        threading.Thread(target=self._run, args=(rate, total), daemon=True).start()
        return {"total": total}

    def _run(self, rate: float, total: int) -> None:
        try:
            self._send(rate, total)
        except OSError as error:
            self._failed(f"{type(error).__name__}: {error}")
        finally:
            self._ended()

    def _send(self, rate: float, total: int) -> None:
        send, datagrams, now = self._socket.send, self._datagrams, time.monotonic
        start, done = now(), 0
        while done < total and not self._stopped:
            elapsed_s = now() - start
            due = min(total, int(elapsed_s * rate) + 1)
            self._late_by(elapsed_s - done / rate)
            if due == done:
                time.sleep(_TICK_S)
                continue
            hand = min(due - done, _HAND)
            for _ in range(hand):
                send(next(datagrams))
            done += hand
            self.sent += hand


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--door", choices=list(_DATAGRAMS), required=True, help="what the door at the address takes")
    given = parser.parse_args()
    sender = DatagramSender(given.address, _DATAGRAMS[given.door]())
    obey({"start": sender.start, "progress": sender.progress, "stop": sender.stop})


if __name__ == "__main__":
    main()
