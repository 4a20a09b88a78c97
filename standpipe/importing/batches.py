"""Read files of envelopes: batches, each behind its length, or the bytes of one batch. No clock.

In:    `loggregator.v2.EnvelopeBatch` messages. Behind its length, a varint, stands each of a file that protobuf's own
       `writeDelimitedTo`, `protodelim` or `serialize_length_prefixed` wrote. Without lengths, any number of batches are
       one: their envelopes follow one another.
Out:   parcels: a batch, and how many messages of the file are in the store once it is.
Drops: messages and envelopes that are malformed, told with the byte at which they begin, counted. Behind a length that
       cannot be, nothing can be told apart: the file ends there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from envelope import kernel
from envelope.errors import DecodeError
from envelope.framing import BATCH_TAG
from standpipe.importing.lines import Parcel

MAX_MESSAGE_BYTES = 64 << 20
_PARCEL_BYTES = 1 << 20
_MOST_VARINT = 5
_FIRST_FIELDS = bytes([0x08, 0x12, 0x1A, 0x22, 0x2A, 0x32, 0x3A, 0x42, 0x4A, 0x52])
"""What an envelope may begin with; else text would be one, of fields that nobody knows: a blank line, and `\\tat x`."""


class Form(StrEnum):
    """What stands in a file."""

    LINES = "lines"
    BATCHES = "batches"
    """Each behind its length."""
    BATCH = "batch"
    """The bytes of one, of any size."""


@dataclass(slots=True)
class MessageCounts:
    """What the messages of one file were like."""

    messages: int = 0
    malformed: int = 0
    """Messages, and envelopes, that are none."""


class LengthBroken(Exception):
    """What should be a length is none, or there is less than it says: nothing behind it can be read."""


def form_of(head: bytes) -> Form:
    """Say what a file that begins like this is: envelopes if its first ones can be read as such, else lines."""
    if head[:1] == b"\n" and _begins_with_envelope(head, 0):
        return Form.BATCH
    try:
        size, at = _length(head, 0)
    except (IndexError, LengthBroken):
        return Form.LINES
    return Form.BATCHES if size and _begins_with_envelope(head[: at + size], at) else Form.LINES


class MessageReader:
    """Reads one file, from behind the messages that are to be skipped; `tell` hears of what is malformed."""

    def __init__(self, form: Form, tell: Callable[[str], None], skip: int = 0) -> None:
        self.counts = MessageCounts()
        self._form = form
        self._tell = tell
        self._skip = skip
        self._upto = 0

    def parcels(self, chunks: Iterable[bytes]) -> Iterator[Parcel]:
        """Make parcels of all messages, in order. LengthBroken, behind the last that could be read."""
        waiting: list[bytes] = []
        count = size = 0
        broken: LengthBroken | None = None
        messages = self._messages(chunks)
        while broken is None:
            try:
                at, message = next(messages)
            except StopIteration:
                break
            except LengthBroken as error:
                broken = error
                continue
            self._upto += 1
            if self._upto > self._skip:
                batch, envelopes = self._admitted(at, message)
                waiting.append(batch)
                count, size = count + envelopes, size + len(batch)
            if size >= _PARCEL_BYTES:
                yield Parcel(b"".join(waiting), count, self._upto)
                waiting, count, size = [], 0, 0
        yield Parcel(b"".join(waiting), count, self._upto)
        if broken is not None:
            raise broken

    def _messages(self, chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield each message and where it begins; of one batch, each envelope, framed."""
        held, offset = b"", 0
        for chunk in chunks:
            held, at = held + chunk, 0
            while True:
                try:
                    body, end = self._next(held, at)
                except IndexError:
                    break
                except LengthBroken as error:
                    raise LengthBroken(f"byte {offset + at}: {error}") from None
                yield offset + at, held[body:end]
                at = end
            held, offset = held[at:], offset + at
        if held:
            raise LengthBroken(f"byte {offset}: the file ends within a message, of which it has {len(held)} bytes")

    def _next(self, held: bytes, at: int) -> tuple[int, int]:
        """Return where a message begins and ends, without its length; IndexError if it is not there as a whole."""
        if self._form is Form.BATCHES:
            size, body = _length(held, at)
            end = body + size
        else:
            if held[at] != BATCH_TAG:
                raise LengthBroken("no envelope of a batch begins here")
            size, first = _length(held, at + 1)
            body, end = at, first + size
        if end > len(held):
            raise IndexError
        return body, end

    def _admitted(self, at: int, message: bytes) -> tuple[bytes, int]:
        self.counts.messages += 1
        try:
            batch, envelopes, _, malformed = kernel.admit(message)
        except DecodeError as error:
            self._tell(f"byte {at}: no batch: {error}")
            self.counts.malformed += 1
            return b"", 0
        if malformed:
            self._tell(f"byte {at}: {malformed} malformed envelopes in a batch of {envelopes + malformed}")
            self.counts.malformed += malformed
        return batch, envelopes


def _begins_with_envelope(batch: bytes, at: int) -> bool:
    """Say whether an envelope stands there, as far as it can be seen."""
    if batch[at : at + 1] != b"\n":
        return False
    try:
        size, first = _length(batch, at + 1)
    except (IndexError, LengthBroken):
        return False
    if not size or first == len(batch) or batch[first] not in _FIRST_FIELDS:
        return False
    if first + size > len(batch):  # longer than what is seen of the file: its first field must do
        return len(batch) >= _PARCEL_BYTES
    try:
        _, envelopes, _, malformed = kernel.admit(batch[at : first + size])
    except DecodeError:
        return False
    return bool(envelopes == 1 and not malformed)


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Read a varint: (its value, where it ends). IndexError if the data ends first, LengthBroken if it cannot be."""
    value = shift = 0
    for place in range(at, at + _MOST_VARINT):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if value > MAX_MESSAGE_BYTES:
                raise LengthBroken(f"a message of {value} bytes, more than {MAX_MESSAGE_BYTES}")
            return value, place + 1
    raise LengthBroken("no length stands here")
