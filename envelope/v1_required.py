"""What v1 requires of an envelope, told as the original tells it (loggregator.md 2.4).

The original sends 0 for a method or a peer type that it does not know, and reads whatever number it is sent. Python's
parser knows the numbers of an enum alone: others it puts aside, among the unknown fields, and takes the field for
missing.
"""

from google.protobuf.message import DecodeError as ProtobufDecodeError
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from envelope.errors import DecodeError
from envelope.pb.dropsonde_pb2 import Envelope
from envelope.wire import WireType


def read_v1(payload: bytes) -> Envelope:
    """Read a v1 envelope; raises `DecodeError` unless it has all that v1 requires."""
    try:
        envelope = Envelope.FromString(payload)
    except ProtobufDecodeError as error:
        raise DecodeError(f"not a v1 envelope: {error}") from error
    if missing := missing_fields(envelope):
        raise DecodeError(f"a v1 envelope without {', '.join(missing)}")
    return envelope


def missing_fields(envelope: Message) -> list[str]:
    """Name the required fields that an envelope lacks; one with a number that its enum does not know is there."""
    if envelope.IsInitialized():
        return []
    paths: list[str] = envelope.FindInitializationErrors()  # type: ignore[attr-defined]  # unknown to its stubs
    return [path for path in paths if not _is_strange_number(envelope, path)]


def _is_strange_number(message: Message, path: str) -> bool:
    *parents, name = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
    field, unknown = message.DESCRIPTOR.fields_by_name[name], UnknownFieldSet(message)
    return field.enum_type is not None and any(
        unknown[at].field_number == field.number and unknown[at].wire_type == WireType.VARINT
        for at in range(len(unknown))
    )
