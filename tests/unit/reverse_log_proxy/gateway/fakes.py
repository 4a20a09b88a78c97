"""What stands around a session in tests: Dopplers, connections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import trio

from envelope.pb.loggregator_v2_pb2 import Envelope
from reverse_log_proxy.gateway.query import parse_parameters, parse_query
from reverse_log_proxy.gateway.session import Owner, Session
from tests.strategies import batch_of


class FakeArrival:
    """One message of a Doppler."""

    def __init__(self, batch: bytes, *, is_kept: bool = True) -> None:
        self.batch = batch
        self.is_kept = is_kept


class FakeUpstream:
    """Brings what the test puts, notes what is confirmed, and fails when it is told to."""

    def __init__(self, arrived: Callable[[Any], None]) -> None:
        self.arrived = arrived
        self.confirmed: list[bytes] = []
        self._broken = trio.Event()

    def put(self, *payloads: bytes) -> None:
        self.arrived(FakeArrival(logs(*payloads)))

    def break_down(self) -> None:
        self._broken.set()

    async def run(self) -> None:
        await self._broken.wait()
        raise RuntimeError("a fault of ours")

    def confirm(self, arrivals: Sequence[Any]) -> None:
        self.confirmed += [arrival.batch for arrival in arrivals]


def logs(*payloads: bytes) -> bytes:
    return batch_of(*(Envelope(source_id="a", log={"payload": payload}) for payload in payloads))


def owner(query: str = "log", token: bytes = b"t") -> Owner:
    return Owner(parse_query(parse_parameters(query.encode())), token)


def open_session(*, linger_s: float = 30, resume_bytes: int = 1000) -> tuple[Session, FakeUpstream]:
    """Make a session; it is the test that runs it."""
    upstreams: list[FakeUpstream] = []

    def open_upstream(arrived: Callable[[Any], None]) -> FakeUpstream:
        upstreams.append(FakeUpstream(arrived))
        return upstreams[0]

    session = Session("gateway 1", owner(), open_upstream, linger_s=linger_s, resume_bytes=resume_bytes)
    return session, upstreams[0]
