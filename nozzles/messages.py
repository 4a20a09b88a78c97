"""What sinks that take one message for each envelope are given: its kind, its source_id and its bytes. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from envelope import framing, kernel
from envelope.errors import DecodeError
from envelope.kinds import Kind

Format: TypeAlias = Literal["json", "protobuf"]


class Message(NamedTuple):
    """One envelope on its way out."""

    place: int
    """Where it stands in the batch, from 0."""
    kind: str
    """log, counter, gauge, timer, event or bare."""
    source_id: bytes
    value: bytes


def messages_of(batch: bytes, form: Format) -> tuple[list[Message], int]:
    """Make the messages of a batch, in order, and say how many envelopes cannot be written.

    `json` is the JSON of an envelope on one line (`envelope.json_form`), `protobuf` its own bytes. An envelope that
    does not parse makes no message, and keeps no other from making one.
    """
    try:
        return _made(batch, form, 0), 0
    except DecodeError:
        apart = [_made_or_nothing(frame, form, place) for place, frame in enumerate(framing.frames(batch))]
        return [message for one in apart for message in one], sum(not one for one in apart)


def _made(batch: bytes, form: Format, first: int) -> list[Message]:
    values = kernel.json_envelopes(batch) if form == "json" else framing.envelopes(batch)
    return [
        Message(place, str(Kind(kind).name).lower(), source_id, value)
        for place, ((_, _, kind, source_id, _), value) in enumerate(
            zip(kernel.spans(batch), values, strict=True), first
        )
    ]


def _made_or_nothing(frame: bytes, form: Format, place: int) -> list[Message]:
    try:
        return _made(frame, form, place)
    except DecodeError:
        return []
