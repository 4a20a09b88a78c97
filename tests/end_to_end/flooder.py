"""Send datagrams of every sort to an agent's UDP doors, as fast as one process can.

`python -m tests.end_to_end.flooder SECONDS door=host:port …`. Each datagram is one envelope in the agent's books, good
or malformed. In the end it prints, as JSON, how many it sent to each door.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import time
from collections.abc import Sequence

from envelope.pb import dropsonde_pb2 as v1
from plumbing.config import parse_listen

MOST_BYTES = 65_507
"""No datagram of IPv4 is longer."""

_DECK = 5_000
_HAND = 100


def dropsonde_log(message: bytes) -> bytes:
    """Make a v1 log envelope of the source `flood`."""
    log = v1.LogMessage(message=message, message_type=v1.LogMessage.OUT, timestamp=1, app_id="flood")
    return v1.Envelope(
        origin="flooder", eventType=v1.Envelope.LogMessage, timestamp=1, logMessage=log
    ).SerializeToString()


def dropsonde_counter(name: str) -> bytes:
    """Make a v1 counter of a name."""
    counter = v1.CounterEvent(name=name, delta=1)
    return v1.Envelope(
        origin="flooder", eventType=v1.Envelope.CounterEvent, timestamp=1, counterEvent=counter
    ).SerializeToString()


def decks(chance: random.Random) -> dict[str, list[bytes]]:
    """Shuffle what each door gets: half of it good, and a few datagrams as long as can be."""
    names = [f"{chance.getrandbits(64):x}" for _ in range(_DECK // 4)]
    log = dropsonde_log(b"x" * 200)
    dropsonde = [log] * len(names) + [dropsonde_counter(name) for name in names]
    dropsonde += [log[: chance.randrange(len(log))] for _ in names]  # cut short
    dropsonde += [chance.randbytes(chance.randrange(1, 300)) for _ in names]
    dropsonde += [dropsonde_log(b"x" * 60_000), chance.randbytes(MOST_BYTES)]

    statsd = [f"flood.{name}:1|c|#name:{name}".encode() for name in names] + [b"flood.load:17|g"] * len(names)
    statsd += [b"flood.load:nan|g", b"flood.load:1e999|g", b"flood.load:17|", b"flood"] * (len(names) // 4)
    statsd += [b"?" + chance.randbytes(100).replace(b"\n", b" ") for _ in names]
    statsd += [b"flood.load:" + b"9" * (MOST_BYTES - 13) + b"|g", b"flood." + b"x" * 60_000 + b":1|c"]
    for deck in (dropsonde, statsd):
        chance.shuffle(deck)
    return {"dropsonde": dropsonde, "statsd": statsd}


def main(arguments: Sequence[str]) -> None:
    """Send for so many seconds to the doors that are named."""
    given = decks(random.Random(1))
    doors = [name_and_address.split("=") for name_and_address in arguments[1:]]
    sent = dict.fromkeys((name for name, _ in doors), 0)
    sockets = {name: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for name, _ in doors}
    for name, address in doors:
        sockets[name].connect(parse_listen(address))
    deadline = time.monotonic() + float(arguments[0])
    while time.monotonic() < deadline:
        for name, door in sockets.items():
            at = sent[name] % len(given[name])
            hand = given[name][at : at + _HAND]
            for datagram in hand:
                door.send(datagram)
            sent[name] += len(hand)
    print(json.dumps(sent))


if __name__ == "__main__":
    main(sys.argv[1:])
