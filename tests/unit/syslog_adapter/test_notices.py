from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch, Log
from syslog_adapter.notices import lost_text, notice, unreachable_text


def test_a_notice_is_a_line_on_the_error_stream_of_the_app() -> None:
    parcel = notice("app", "text", 7)

    (envelope,) = EnvelopeBatch.FromString(parcel.batch).batch
    assert parcel.envelopes == 1
    assert (envelope.source_id, envelope.instance_id, envelope.timestamp) == ("app", "0", 7)
    assert (envelope.tags["source_type"], envelope.log.payload, envelope.log.type) == ("LGR", b"text", Log.ERR)


def test_the_words_are_the_original_s() -> None:
    assert lost_text(3, "app", "U") == "3 messages lost for application app in user provided syslog drain with url U"
    assert unreachable_text("U") == "Failed to connect to U"
