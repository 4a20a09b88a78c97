"""How much v1 one batch may become, reckoned before anything is converted.

A gauge becomes one value metric for each of its metrics, and each repeats all its tags: 10 MiB of v2, half of it tags
and half of it names, would be terabytes of v1. So an envelope that may bring what its batch becomes beyond `V1_BYTES`
has no v1 form. Ordinary traffic never comes near: a message of 256 KiB would have to grow 250 times.
"""

from envelope.pb.loggregator_v2_pb2 import Envelope
from envelope.v2_to_v1 import is_container_metric
from envelope.wire import fields

V1_BYTES = 64 << 20
"""The most bytes of v1, frames included, that are made of one batch."""

_GAUGE_TAG = 0x32
_OWN_BYTES = 128  # of one v1 envelope in its frame: fields and lengths that v2 does without
_NUMBER_BYTES = 320  # of one deprecated tag: the largest double has 317 characters


def most_v1_bytes(envelope: Envelope, serialized: bytes) -> int:
    """Bound the size of all that an envelope becomes in v1, frames included, by the sizes of its parts alone.

    Nothing grows to more than twice its size: source_id stands twice in a log, a newline of `forwarded` makes a field.
    A value metric has one metric of the gauge and all that stands beside them.
    """
    forms, metrics = 1, 0
    if envelope.HasField("gauge") and not is_container_metric(envelope.gauge):
        forms = len(envelope.gauge.metrics)
    if forms > 1:
        metrics = sum(field.end - field.body for field in fields(serialized) if field.tag == _GAUGE_TAG)
    beside = 2 * (len(serialized) - metrics) + _NUMBER_BYTES * len(envelope.deprecated_tags)
    return forms * (beside + _OWN_BYTES) + 2 * metrics
