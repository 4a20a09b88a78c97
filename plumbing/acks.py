"""Acknowledged streams: what was sent and not yet confirmed stays ours.

gRPC's `write` returns when a message has left for the transport, not when the peer has it: a stream that breaks
loses, uncounted, whatever was on its way. Between our own components a stream therefore carries
acknowledgements the other way, asked for with the metadata `standpipe-acks` and granted by the same metadata in
the answer; an original peer knows neither and is served as ever. See `docs/decisions/0003-acknowledged-streams.md`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from envelope.errors import DecodeError
from plumbing.diode import Parcel, settle

ACKS_METADATA = ("standpipe-acks", "1")
"""The gRPC metadata by which a client asks for acknowledgements and a server grants them."""

CHANGES_METADATA = ("standpipe-changes", "1")
"""The gRPC metadata by which a server grants that the request of an open, acknowledged stream may be replaced."""

BULK_METADATA = ("standpipe-bulk", "1")
"""The gRPC metadata by which a client that acknowledges says that it stores what it reads: it is served at `BULK`."""

WINDOW_ENVELOPES = 80_000
"""As many may be in flight on one stream, and one message: whoever has to know them again remembers a few more."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a stream is sent."""

    window_bytes: int
    """As much is sent before it is acknowledged, and one message."""
    pause_s: float = 0.0
    """How long more is waited for after a message that was not nearly full."""


PROMPT = Pace(2 << 20)
"""For who passes it on, and may be slow: each reader has a window of its own."""
BULK = Pace(8 << 20, 0.01)
"""For who forces it to disk: that takes 20 ms and more, and 2 MiB in that time are 100,000 envelopes a second at most.
A message costs both sides the same whatever it holds: pauses make few of many.
"""

_FIELD = 0x08  # field 1, varint: an empty message with one unknown field to anyone else


def encode_ack(messages: int) -> bytes:
    """Say that the first `messages` messages of a stream have arrived."""
    out = bytearray([_FIELD])
    while messages > 0x7F:
        out.append(messages & 0x7F | 0x80)
        messages >>= 7
    out.append(messages)
    return bytes(out)


def decode_ack(message: bytes) -> int:
    """Read what `encode_ack` wrote; `DecodeError` on anything else."""
    if not 2 <= len(message) <= 11 or message[0] != _FIELD or message[-1] & 0x80:
        raise DecodeError(f"not an acknowledgement: {message[:16]!r}")
    value = 0
    for shift, byte in enumerate(message[1:]):
        value |= (byte & 0x7F) << 7 * shift
    return value


def is_ack(message: bytes) -> bool:
    """Tell an acknowledgement from a request: no request begins with this field."""
    return message[:1] == bytes([_FIELD])


class Window:
    """What has been sent on one stream and not been acknowledged yet."""

    __slots__ = ("_acked", "_messages", "_sent", "in_flight", "in_flight_bytes", "peer_acknowledges")

    def __init__(self) -> None:
        self._messages: deque[list[Parcel]] = deque()
        self._sent = 0
        self._acked = 0
        self.in_flight = 0
        self.in_flight_bytes = 0
        self.peer_acknowledges = False

    def sent(self, parcels: list[Parcel]) -> None:
        """Remember one message made of `parcels`."""
        self._messages.append(parcels)
        self._sent += 1
        for parcel in parcels:
            self.in_flight += parcel.envelopes
            self.in_flight_bytes += len(parcel.batch)

    def acknowledge(self, messages: int) -> int:
        """Settle all up to message number `messages` (counted from 1); returns how many envelopes that were.

        Raises `DecodeError` when the peer confirms what was never sent.
        """
        if messages > self._sent:
            raise DecodeError(f"message {messages} acknowledged of only {self._sent} sent")
        delivered = 0
        while self._acked < messages:
            self._acked += 1
            parcels = self._messages.popleft()
            for parcel in parcels:
                delivered += parcel.envelopes
                self.in_flight_bytes -= len(parcel.batch)
            settle(parcels)
        self.in_flight -= delivered
        return delivered

    def acknowledge_all(self) -> int:
        """Settle everything sent: for a peer that gives no acknowledgements."""
        return self.acknowledge(self._sent)

    def abandon(self) -> list[Parcel]:
        """Take back everything not acknowledged, in order: the stream is gone."""
        parcels = [parcel for message in self._messages for parcel in message]
        self._messages.clear()
        self._acked = self._sent
        self.in_flight = self.in_flight_bytes = 0
        return parcels
