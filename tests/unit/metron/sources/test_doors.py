"""All UDP doors of one agent together."""

import socket
from dataclasses import dataclass, field
from functools import partial

import pytest
import trio

from metron.sources import DropsondeDoor, SourceCounts, StatsdDoor, run_doors
from plumbing.config import parse_listen
from tests.strategies import parsed


@dataclass
class Settings:
    tags: dict[str, str] = field(default_factory=dict)
    dropsonde: DropsondeDoor = field(default_factory=DropsondeDoor)
    statsd: StatsdDoor = field(default_factory=StatsdDoor)


class Taken:
    def __init__(self) -> None:
        self.batch = b""

    async def take(self, batch: bytes, count: int, *, malformed: int, overflowed: int) -> None:
        await trio.lowlevel.checkpoint()
        self.batch += batch


async def test_without_doors_it_starts_and_ends() -> None:
    async with trio.open_nursery() as nursery:
        run = partial(run_doors, Settings(), Taken(), SourceCounts(), stop=trio.Event())

        assert await nursery.start(run) == {}


async def test_every_door_that_is_enabled_takes_its_own_language() -> None:
    settings = Settings(
        {"job": "cell"},
        DropsondeDoor(enabled=True, listen="127.0.0.1:0"),
        StatsdDoor(enabled=True, listen="127.0.0.1:0", counters="counter"),
    )
    outlet, counts, stop = Taken(), SourceCounts(), trio.Event()

    with trio.fail_after(10), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        async with trio.open_nursery() as nursery:
            addresses = await nursery.start(partial(run_doors, settings, outlet, counts, stop=stop))
            sender.sendto(b"o.name:3|c", parse_listen(addresses["statsd"]))
            sender.sendto(b"\x0a\x01o\x10\x07\x52\x08\x0a\x04v1.c\x10\x02", parse_listen(addresses["dropsonde"]))
            stop.set()

    envelopes = {envelope.counter.name: envelope for envelope in parsed(outlet.batch)}
    assert {name: envelope.counter.total for name, envelope in envelopes.items()} == {"name": 3, "v1.c": 2}
    assert envelopes["v1.c"].tags["job"] == "cell"
    assert {name: door.datagrams for name, door in counts.doors.items()} == {"dropsonde": 1, "statsd": 1}


async def test_a_door_that_cannot_open_ends_the_start_and_names_its_address() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = Settings(
            dropsonde=DropsondeDoor(enabled=True, listen="127.0.0.1:0"),
            statsd=StatsdDoor(enabled=True, listen=listen),
        )

        with pytest.raises(ExceptionGroup) as error:
            await run_doors(settings, Taken(), SourceCounts(), stop=trio.Event())

    assert error.group_contains(OSError, match=f"UDP {listen}")
