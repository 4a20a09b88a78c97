"""What becomes of a message that no drain wrote, and what is counted."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.pb import loggregator_v2_pb2 as v2
from metron.sources.counts import SyslogCounts
from metron.sources.syslog.config import SyslogReceiver
from metron.sources.syslog.mapping import SyslogParser
from tests.strategies import parsed

NOW_NS = int(datetime(2026, 10, 12, tzinfo=UTC).timestamp()) * 10**9
HEAD = b"<11>1 2026-10-11T22:14:15.25Z host shop 17 ID4 "


class Receiver:
    def __init__(self, **settings: Any) -> None:
        self.counts = SyslogCounts()
        self.parser = SyslogParser(SyslogReceiver(**settings), self.counts)

    def take(self, *messages: bytes) -> list[v2.Envelope]:
        batch, count, _, _ = self.parser.of_messages(messages, NOW_NS)
        assert len(parsed(batch)) == count
        return list(parsed(batch))


def test_every_field_has_its_place() -> None:
    (envelope,) = Receiver().take(HEAD + b'[origin ip="10.0.0.1" ip="10.0.0.2"][ssl] \xef\xbb\xbfout of stock\r\n')

    assert envelope == v2.Envelope(
        timestamp=int(datetime(2026, 10, 11, 22, 14, 15, tzinfo=UTC).timestamp()) * 10**9 + 250_000_000,
        source_id="shop",
        instance_id="17",
        tags={
            "hostname": "host",
            "msgid": "ID4",
            "facility": "user",
            "severity": "err",
            "origin.ip": "10.0.0.2",
            "ssl": "",
        },
        log={"payload": b"out of stock", "type": "ERR"},
    )


@pytest.mark.parametrize(("priority", "expected"), [(0, "ERR"), (3, "ERR"), (4, "OUT"), (191, "OUT"), (187, "ERR")])
def test_severities_that_are_errors(priority: int, expected: str) -> None:
    (envelope,) = Receiver().take(b"<%d>app: x" % priority)

    assert v2.Log.Type.Name(envelope.log.type) == expected


def test_what_is_not_said_has_a_default() -> None:
    receiver = Receiver(default_source_id="network", source_id_prefix="syslog-")

    named, nameless, plain = receiver.take(b"<13>app: x", b"<13>Oct 11 22:14:15 switch up", b"just text")

    assert [each.source_id for each in (named, nameless, plain)] == ["syslog-app", "syslog-network", "syslog-network"]
    assert (named.timestamp, plain.timestamp) == (NOW_NS, NOW_NS + 2)
    assert (plain.instance_id, dict(plain.tags), plain.log.type) == ("", {}, v2.Log.OUT)
    assert receiver.counts.plain == 1


def test_a_prefix_is_not_put_before_what_a_drain_wrote() -> None:
    (envelope,) = Receiver(source_id_prefix="syslog-").take(b"<14>1 - host app [APP/0] - - x\n")

    assert envelope.source_id == "app"


def test_times_without_a_zone_are_in_the_one_that_is_set() -> None:
    utc, berlin = (Receiver(timezone=zone).take(b"<13>Oct 11 22:14:15 h a: x")[0] for zone in ("UTC", "Europe/Berlin"))

    assert utc.timestamp - berlin.timestamp == 2 * 3600 * 10**9


def test_messages_of_nothing_are_malformed_and_the_others_arrive() -> None:
    receiver = Receiver()

    assert len(receiver.take(b"<13>a: 1", b"", b"\r\n\0", b"<13>")) == 2
    assert (receiver.counts.messages, receiver.counts.malformed) == (4, 2)


def test_a_datagram_is_one_message_cut_off_at_the_limit() -> None:
    receiver = Receiver(max_message_bytes=480)

    batch, count, malformed, _ = receiver.parser(b"<13>a: " + b"xyz" * 300, NOW_NS)

    assert (count, malformed, receiver.counts.truncated) == (1, 0, 1)
    assert len(parsed(batch)[0].log.payload) == 473
    assert receiver.parser(b"\n", NOW_NS).malformed == 1


def test_of_structured_data_only_so_much_is_taken() -> None:
    many = b"[many" + b"".join(b' k%d="v"' % number for number in range(9)) + b"]"
    long = b'[long a="%s" b="2"][%s c="3"]' % (b"x" * 100, b"n" * 65)
    receiver = Receiver(max_params=5, max_param_bytes=50)

    few, short = receiver.take(HEAD + many + b" x", HEAD + long + b" x")

    usual = {"hostname", "msgid", "facility", "severity"}
    assert few.tags.keys() - usual == {"many.k0", "many.k1", "many.k2", "many.k3"}
    assert short.tags.keys() - usual == {"long.b"}
    assert receiver.counts.params_left_out == 5 + 2


def test_of_a_drain_only_so_many_tags_are_taken_and_each_time_that_is_counted() -> None:
    receiver = Receiver(max_params=3, max_param_bytes=1)
    message = b'<14>1 - - app [APP/0] - [tags@47450 a="long" b="longer" c="x" source_type="APP"] x\n'

    envelopes = receiver.take(message, message)

    assert [dict(each.tags) for each in envelopes] == [{"a": "long", "b": "longer", "source_type": "APP"}] * 2
    assert receiver.counts.params_left_out == 4


def test_what_is_remembered_of_one_message_is_not_that_of_another() -> None:
    messages = [
        b"<%d>1 - %s %s %s - - x" % (priority, host, app, process)
        for priority in (11, 14)
        for host in (b"h", b"i")
        for app in (b"a", b"b")
        for process in (b"1", b"[1]")
    ]

    one_by_one = [Receiver().take(message)[0] for message in messages]
    envelopes = Receiver().take(*messages, *messages)

    for each in (*envelopes, *one_by_one):
        each.timestamp = 0
    assert envelopes == one_by_one * 2


PIECES = st.sampled_from(
    [b"<11>1 - h a [0] - ", b"[tags@47450", b"[gauge@47450", b' name="', b'"', b"]", b"-", b" ", b"\\", b"\xff", b"\0"]
)


@given(st.lists(st.lists(PIECES | st.binary(max_size=4), max_size=20).map(b"".join), max_size=5))
def test_whatever_the_bytes_each_message_is_an_envelope_or_counted(messages: list[bytes]) -> None:
    receiver = Receiver()

    envelopes = receiver.take(*messages)

    assert len(envelopes) + receiver.counts.malformed == receiver.counts.messages == len(messages)
