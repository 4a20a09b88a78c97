"""What comes in by gRPC is passed on, answered or refused as the original does it (loggregator.md 2.7, 4.1)."""

import asyncio
from typing import Any

import grpc
import pytest

from envelope.errors import DecodeError
from envelope.framing import frame
from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from log_cache.cache import Cache
from log_cache.doors import EGRESS, INGRESS, PROMQL, Doors, read_response, send_request
from log_cache.intake import Intake
from log_cache.queries import Queries
from log_cache.query import Answer, Query
from log_cache.reads import Reads
from log_cache.store import Store, StoreLimits
from plumbing.unary_client import CallFailed

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


class Aborted(Exception):
    """What `context.abort` raises."""


class FakeContext:
    """A server's side of one call."""

    def __init__(self, metadata: dict[str, str]) -> None:
        self.trailing: dict[str, str] = {}
        self._metadata = tuple(metadata.items())

    def invocation_metadata(self) -> Any:
        return self._metadata

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.trailing = dict(metadata)

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise Aborted(code.name, details)


class Node:
    """A node with all its doors."""

    def __init__(self) -> None:
        self.cache = Cache(Store(StoreLimits()), lambda: NOW)
        self.intake = Intake(self.cache)
        self.reads = Reads(self.cache, incarnation=7, now_ns=lambda: NOW, settle_ns=0, threads=2)
        queries = Queries(self.reads, now_ns=lambda: NOW, timeout_s=5, at_once=2)
        self.doors = Doors(self.intake, self.reads, queries, now_ns=lambda: NOW)
        self.trailing: dict[str, str] = {}

    def call(self, service: str, method: str, request: Any, **metadata: str) -> bytes:
        """Make one call; metadata names have underscores here."""
        context = FakeContext({name.replace("_", "-"): value for name, value in metadata.items()})
        message = request if isinstance(request, bytes) else request.SerializeToString()
        handler = self.doors.services()[service][method].handler.unary_unary

        async def call() -> bytes:
            answer: bytes = await handler(message, context)
            return answer

        answer = asyncio.run(call())
        self.trailing = context.trailing
        return answer

    def send(self, *envelopes: Envelope, **fields: Any) -> bytes:
        return self.call(INGRESS, "Send", pb.SendRequest(envelopes=EnvelopeBatch(batch=envelopes), **fields))

    def read(self, metadata: dict[str, str] | None = None, **asked: Any) -> list[Envelope]:
        answer = self.call(EGRESS, "Read", pb.ReadRequest(**{"source_id": "app", **asked}), **(metadata or {}))
        return list(pb.ReadResponse.FromString(answer).envelopes.batch)

    def refusal(self, service: str, method: str, request: Any, **metadata: str) -> tuple[str, str]:
        with pytest.raises(Aborted) as caught:
            self.call(service, method, request, **metadata)
        code, details = caught.value.args
        return code, details


def log(time: int, source_id: str = "app") -> Envelope:
    return Envelope(source_id=source_id, timestamp=time, log={"payload": b"hello"})


def counter(time: int, total: int) -> Envelope:
    return Envelope(source_id="app", timestamp=time, counter={"name": "requests", "total": total})


def test_what_is_sent_can_be_read() -> None:
    node = Node()

    assert node.send(log(2), log(1)) == pb.SendResponse().SerializeToString()
    assert node.read() == [log(1), log(2)]


def test_a_send_request_is_taken_apart_without_a_look_at_envelopes() -> None:
    assert send_request(b"\x0a\x03abc\x10\x01") == (b"abc", True)
    assert send_request(b"\x10\x01\x0a\x01a\x10\x00\x0a\x02bc") == (b"abc", False)
    assert send_request(b"\x10\x80\x00") == (b"", False)
    assert send_request(b"\x12\x01x\x08\x01\x0a\x01a") == (b"a", False)
    assert send_request(b"") == (b"", False)
    with pytest.raises(DecodeError):
        send_request(b"\x0a\x05a")


def test_several_batches_of_one_request_are_joined_as_protobuf_joins_them() -> None:
    parts = [pb.SendRequest(envelopes=EnvelopeBatch(batch=[log(time)])).SerializeToString() for time in (1, 2)]

    batch, _ = send_request(b"".join(parts))

    assert batch == pb.SendRequest.FromString(b"".join(parts)).envelopes.SerializeToString()


def test_local_only_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    seen: list[bool] = []

    async def take(_: bytes, *, local_only: bool) -> None:
        seen.append(local_only)

    monkeypatch.setattr(node.intake, "take", take)

    node.send(log(1), local_only=True)
    node.send(log(1))

    assert seen == [True, False]


@pytest.mark.parametrize("message", [b"\x0a\x05a", b"\x0a\x02\x0a\x09"])
def test_a_broken_send_is_refused_and_counted(message: bytes) -> None:
    node = Node()

    code, _ = node.refusal(INGRESS, "Send", message)

    assert code == "INVALID_ARGUMENT"
    assert (node.intake.counts.sent, node.intake.counts.sent_malformed) == (1, 1)


def test_what_is_no_envelope_is_counted_and_the_rest_is_taken() -> None:
    node = Node()
    batch = frame(log(1).SerializeToString()) + frame(b"\xff") + frame(log(2).SerializeToString())

    node.call(INGRESS, "Send", read_response(batch))

    assert node.read() == [log(1), log(2)]
    assert (node.intake.counts.sent, node.intake.counts.sent_malformed) == (3, 1)


def test_nothing_is_taken_in_once_closed() -> None:
    node = Node()
    node.doors.close()

    assert node.refusal(INGRESS, "Send", b"") == ("UNAVAILABLE", "this server is about to stop")
    assert node.read() == []


def test_a_read_is_answered_with_a_cursor_behind_it() -> None:
    node = Node()
    node.send(log(1), log(2))
    node.read(limit=1)
    cursor = node.trailing.pop("standpipe-cursor")

    assert node.trailing == {}
    node.send(log(1))
    assert node.read({"standpipe_cursor": cursor}) == [log(1)]
    assert node.trailing.keys() == {"standpipe-cursor", "standpipe-missed"}


def test_a_read_in_order_of_arrival_says_what_was_missed_and_whether_there_is_more() -> None:
    node = Node()
    node.send(log(2), log(1))

    assert node.read({"standpipe_cursor": ""}, limit=1) == [log(2)]
    assert (node.trailing["standpipe-missed"], node.trailing["standpipe-rest"]) == ("0", "1")


def test_what_nobody_knows_of_a_loss_is_said_too() -> None:
    node, other = Node(), Node()
    other.reads._incarnation = 8
    other.read()
    node.read({"standpipe_cursor": other.trailing["standpipe-cursor"]})

    assert node.trailing["standpipe-missed"] == "unknown"


def test_a_wait_is_passed_on() -> None:
    node = Node()

    assert node.read({"standpipe_cursor": "", "standpipe_wait": "0.01"}) == []
    for wait, said in [("soon", "wait (soon) must be a number of seconds"), ("31", "wait (31) must be from 0 to 30")]:
        code, message = node.refusal(EGRESS, "Read", b"", standpipe_cursor="", standpipe_wait=wait)
        assert (code, message.startswith(said)) == ("UNKNOWN", True)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"limit": 1001}, "limit (1001) must be 1000 or less"),
        ({"limit": -1}, "limit (-1) must be greater than zero"),
        ({"start_time": 2, "end_time": 1}, "StartTime (2) must be before EndTime (1)"),
        (
            {"name_filter": "("},
            "name filter must be a valid regular expression: error parsing regexp: missing closing ): `(`",
        ),
    ],
)
def test_errors_of_a_read_are_plain_ones(asked: dict[str, Any], message: str) -> None:
    assert Node().refusal(EGRESS, "Read", pb.ReadRequest(**asked)) == ("UNKNOWN", message)


def test_bytes_that_are_no_request_are_refused() -> None:
    assert Node().refusal(EGRESS, "Read", b"\xff")[0] == "INVALID_ARGUMENT"
    assert Node().refusal(EGRESS, "Meta", b"\xff")[0] == "INVALID_ARGUMENT"


def test_a_read_that_another_node_passed_on_is_answered_here(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    seen: list[bool] = []

    async def read(query: Query, *, local_only: bool) -> Answer:
        seen.append(local_only)
        return Answer(batch=b"", count=0, cursor="")

    monkeypatch.setattr(node.reads, "read", read)
    node.read({"standpipe_local": "1"})
    node.read()

    assert seen == [True, False]


def test_what_another_node_says_is_said_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()

    async def read(*_: object, **__: object) -> Answer:
        raise CallFailed("DEADLINE_EXCEEDED", "too slow")

    monkeypatch.setattr(node.reads, "read", read)

    assert node.refusal(EGRESS, "Read", b"") == ("DEADLINE_EXCEEDED", "too slow")


@pytest.mark.parametrize(
    ("service", "method"), [(EGRESS, "Read"), (EGRESS, "Meta"), (PROMQL, "InstantQuery"), (PROMQL, "RangeQuery")]
)
def test_a_question_has_a_length(service: str, method: str) -> None:
    code, message = Node().refusal(service, method, pb.ReadRequest(envelope_types=[1] * 300_000))

    assert (code, message) == ("INVALID_ARGUMENT", "the request is longer than 262144 bytes")


def test_meta_says_how_much_is_held() -> None:
    node = Node()
    node.send(log(5), log(3), log(7, "other"))
    answer = pb.MetaResponse.FromString(node.call(EGRESS, "Meta", pb.MetaRequest(local_only=True)))

    assert dict(answer.meta) == {
        "app": pb.MetaInfo(count=2, expired=0, oldest_timestamp=3, newest_timestamp=5),
        "other": pb.MetaInfo(count=1, expired=0, oldest_timestamp=7, newest_timestamp=7),
    }


def test_an_instant_query_is_answered() -> None:
    node = Node()
    node.send(counter(NOW - 10 * SECOND, 42))
    request = pb.PromQL.InstantQueryRequest(query='requests{source_id="app"}')
    answer = pb.PromQL.InstantQueryResult.FromString(node.call(PROMQL, "InstantQuery", request))

    (sample,) = answer.vector.samples
    assert dict(sample.metric) == {"source_id": "app"}
    assert (sample.point.time, sample.point.value) == ("1700000000.000", 42.0)


def test_a_range_query_is_answered() -> None:
    node = Node()
    node.send(counter(NOW - 10 * SECOND, 42))
    request = pb.PromQL.RangeQueryRequest(
        query='requests{source_id="app"}', start="1699999990", end="1700000000", step="5s"
    )
    answer = pb.PromQL.RangeQueryResult.FromString(node.call(PROMQL, "RangeQuery", request))

    (series,) = answer.matrix.series
    assert [(point.time, point.value) for point in series.points] == [
        ("1699999990.000", 42.0),
        ("1699999995.000", 42.0),
        ("1700000000.000", 42.0),
    ]


def test_errors_of_a_query_are_plain_ones() -> None:
    node = Node()
    request = pb.PromQL.InstantQueryRequest(query="requests")

    assert node.refusal(PROMQL, "InstantQuery", request) == (
        "UNKNOWN",
        "metric 'requests' does not have a 'source_id' label",
    )
    code, message = node.refusal(PROMQL, "RangeQuery", pb.PromQL.RangeQueryRequest(query="1", start="1", step="1"))
    assert (code, message) == (
        "UNKNOWN",
        'couldn\'t parse end: cannot parse "" to a valid Unix or RFC3339 timestamp',
    )
