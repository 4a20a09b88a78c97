"""What an agent does to the envelopes that default tags alone do not settle (loggregator.md 1.1, a to d)."""

from collections.abc import Mapping
from hashlib import sha256

from google.protobuf.message import DecodeError as ProtobufDecodeError

from envelope.deprecated_tags import text_of
from envelope.errors import DecodeError
from envelope.numbers_as_text import shortest
from envelope.pb.loggregator_v2_pb2 import Counter, Envelope

_UINT64 = 0xFFFFFFFFFFFFFFFF


class TagRewriter:
    """The `defaults` and the `rewrite` that `kernel.tag` asks for, with the running totals of counters.

    A counter is known by its name, source_id and tags. Once more than `max_counters` are known, the next one to come
    finds all totals forgotten.
    """

    def __init__(self, defaults: Mapping[str, str], max_counters: int = 10_000) -> None:
        self.defaults = Envelope(tags=defaults).SerializeToString()
        self.origin_mappings = 0
        """How many envelopes had no source_id and were given their tag `origin` for one."""
        self._max_counters = max_counters
        self._totals: dict[bytes, int] = {}

    def rewrite(self, envelope: bytes) -> bytes:
        """Return a serialised envelope with source_id, tags and (a counter's) total filled in.

        deprecated_tags are copied to tags, where they win, and stay where they were.
        """
        try:
            parsed = Envelope.FromString(self.defaults + envelope)  # the last entry of a map wins: its own tags
        except ProtobufDecodeError as error:
            raise DecodeError(f"malformed envelope: {error}") from error
        if not parsed.source_id:
            parsed.source_id = self._origin(Envelope.FromString(envelope))
        if parsed.deprecated_tags:
            for key, value in parsed.deprecated_tags.items():
                parsed.tags[key] = text_of(value, decimal=shortest) or ""
        if parsed.WhichOneof("message") == "counter":
            self._count(parsed)
        return parsed.SerializeToString()

    def _origin(self, envelope: Envelope) -> str:
        """Return what an envelope's own tag `origin` says, or nothing."""
        if "origin" in envelope.tags:
            origin = envelope.tags["origin"]
        elif "origin" in envelope.deprecated_tags:
            origin = text_of(envelope.deprecated_tags["origin"], decimal=shortest) or ""
        else:
            return ""
        self.origin_mappings += 1
        return origin

    def _count(self, envelope: Envelope) -> None:
        if len(self._totals) > self._max_counters:
            self._totals.clear()
        counter, key = envelope.counter, _key(envelope)
        if counter.total == 0 and counter.delta != 0:
            self._totals[key] = (self._totals.get(key, 0) + counter.delta) & _UINT64
        else:
            self._totals[key] = counter.total
        counter.total = self._totals[key]


def _key(envelope: Envelope) -> bytes:
    """Hash what a counter is known by, so that a key is 32 bytes whatever its tags."""
    identity = Envelope(source_id=envelope.source_id, counter=Counter(name=envelope.counter.name))
    identity.tags.MergeFrom(envelope.tags)
    return sha256(identity.SerializeToString(deterministic=True)).digest()
