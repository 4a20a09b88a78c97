"""What a traffic controller says of itself has the original's names, origin and tags (loggregator.md 3.1)."""

from envelope.kinds import Keep
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from plumbing.diode import Parcel, SharedDiode
from plumbing.ledger import Account
from traffic_controller.app_streams import AppStreams
from traffic_controller.doors import Stream
from traffic_controller.reader import ReaderCounts, Sent
from traffic_controller.readers import Readers
from traffic_controller.self_metrics import make_self_metrics, slow_consumer_event

STREAM = Stream(
    endpoint="firehose",
    name="s",
    request=b"",
    keep=Keep.ALL,
    explain=False,
    remote="10.0.0.1:4711",
    forwarded_for="192.0.2.7",
    path="/firehose/s",
)


class FakeBatch:
    batch = b""
    is_kept = True

    def confirm(self) -> None:
        pass


class FakeReader:
    stream = STREAM
    was_slow = False

    def __init__(self, counts: ReaderCounts) -> None:
        self.counts = counts

    def account(self) -> Account:
        return self.counts.account(STREAM)


def envelopes(parcel: Parcel) -> list[Envelope]:
    return list(EnvelopeBatch.FromString(parcel.batch).batch)


def test_the_metrics_are_those_of_the_original() -> None:
    async_part = AppStreams(None, lambda: SharedDiode(1, 1))  # type: ignore[arg-type]  # nothing is read
    readers = Readers()
    readers.slow_consumers = 2

    sent = envelopes(make_self_metrics(readers, async_part).batch(7))

    counters = [(each.counter.name, dict(each.tags)) for each in sent if each.HasField("counter")]
    common = {"origin": "loggregator.trafficcontroller", "metric_version": "2.0"}
    assert counters == [
        ("ingress", {**common, "protocol": "grpc"}),
        ("egress", {**common, "endpoint": "firehose"}),
        ("egress", {**common, "endpoint": "stream"}),
    ]
    gauges = {name: value.value for each in sent for name, value in each.gauge.metrics.items()}
    assert gauges == {
        "doppler_proxy.firehoses": 0,
        "doppler_proxy.app_streams": 0,
        "doppler_proxy.slow_consumer": 2,
    }
    assert {each.source_id for each in sent} == {"traffic_controller"}


def test_what_went_back_to_the_dopplers_came_in_nevertheless() -> None:
    readers = Readers()
    reader = FakeReader(ReaderCounts(arrived=10, delivered=4, in_flight=6))
    metrics = make_self_metrics(readers, AppStreams(None, lambda: SharedDiode(1, 1)))  # type: ignore[arg-type]
    with readers.enter(reader):  # type: ignore[arg-type]  # a fake
        assert envelopes(metrics.batch(7))[0].counter.total == 10
        reader.counts.gone([Sent(FakeBatch(), 6, 0)])

    ingress = envelopes(metrics.batch(8))[0].counter

    assert (ingress.delta, ingress.total) == (0, 10)


def test_who_was_cut_off_is_named_in_an_event() -> None:
    (event,) = envelopes(slow_consumer_event(STREAM, lambda: 7))

    assert event.event.title == "Traffic Controller has disconnected slow consumer"
    assert event.event.body == "Remote Address: 10.0.0.1:4711\nX-Forwarded-For: 192.0.2.7\nPath: /firehose/s"
    assert (event.timestamp, event.tags["origin"]) == (7, "loggregator.trafficcontroller")
