"""One message of each envelope, and an envelope that cannot be written keeps no other from being."""

import json

from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Log
from nozzles.messages import messages_of

MADE = [Envelope(source_id="a", log=Log(payload=b"x")), Envelope(source_id="b", counter=Counter(name="c")), Envelope()]
BATCH = EnvelopeBatch(batch=MADE).SerializeToString()


def test_each_message_knows_its_envelope() -> None:
    made, malformed = messages_of(BATCH, "json")

    assert [(one.place, one.kind, one.source_id) for one in made] == [
        (0, "log", b"a"),
        (1, "counter", b"b"),
        (2, "bare", b""),
    ]
    assert [json.loads(one.value)["source_id"] for one in made] == ["a", "b", ""]
    assert malformed == 0


def test_protobuf_is_the_envelope_itself() -> None:
    made, _ = messages_of(BATCH, "protobuf")

    assert [Envelope.FromString(one.value) for one in made] == MADE


def test_an_envelope_without_json_is_counted_and_the_others_are_written() -> None:
    broken = frame(b"\x1a\x01\xff")  # an instance_id that is not UTF-8
    made, malformed = messages_of(BATCH + broken + BATCH, "json")

    assert [one.place for one in made] == [0, 1, 2, 4, 5, 6]
    assert malformed == 1
