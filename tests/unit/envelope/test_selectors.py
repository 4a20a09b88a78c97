"""A request says which kinds, sources and names a reader asks for."""

import pytest

from envelope.crc64 import crc64
from envelope.errors import DecodeError
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import EgressBatchRequest, Selector
from envelope.selectors import MAX_SELECTORS, Interest, Request, make_request, parse_request


def parsed(**fields: object) -> Request:
    return parse_request(EgressBatchRequest(**fields).SerializeToString())  # type: ignore[arg-type]


def test_each_selector_is_one_interest() -> None:
    request = parsed(
        shard_id="s",
        deterministic_name="d",
        use_preferred_tags=True,
        selectors=[Selector(log={}), Selector(source_id="app", counter={"name": "n"}), Selector(gauge={"names": "ab"})],
    )

    assert request == Request(
        shard_id="s",
        deterministic_name="d",
        preferred_tags=True,
        interests=(
            Interest(Kind.LOG),
            Interest(Kind.COUNTER, b"app", crc64(b"n")),
            Interest(Kind.GAUGE, None, (crc64(b"a") + crc64(b"b")) % 2**64),
        ),
    )


def test_a_selector_without_a_message_asks_for_nothing() -> None:
    assert parsed(selectors=[Selector(source_id="app")]).interests == ()


def test_the_legacy_selector_counts_only_alone() -> None:
    legacy = Selector(timer={})

    assert parsed(legacy_selector=legacy).interests == (Interest(Kind.TIMER),)
    assert parsed(legacy_selector=legacy, selectors=[Selector(log={})]).interests == (Interest(Kind.LOG),)


def test_what_is_no_request_is_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="not an EgressBatchRequest"):
        parse_request(b"\x0a\xff")


def test_a_request_for_too_much_at_once_is_a_decode_error() -> None:
    request = EgressBatchRequest(selectors=[Selector(log={})] * (MAX_SELECTORS + 1))

    with pytest.raises(DecodeError, match=f"at most {MAX_SELECTORS}"):
        parse_request(request.SerializeToString())


def test_a_made_request_reads_back() -> None:
    message = make_request(Kind.LOG | Kind.EVENT, shard_id="s", sources=["a", "b"])

    request = parse_request(message)

    assert request.shard_id == "s"
    assert request.preferred_tags
    assert set(request.interests) == {
        Interest(kind, source) for kind in (Kind.LOG, Kind.EVENT) for source in (b"a", b"b")
    }
