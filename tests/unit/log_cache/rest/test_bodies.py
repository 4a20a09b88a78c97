"""Answers as JSON, in the forms of the original's gateway and of its proxy; forms that come in."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
import trio
from starlette.datastructures import Headers

from envelope import kernel
from envelope.pb.loggregator_v2_pb2 import Envelope
from log_cache.query import Meta
from log_cache.rest.bodies import MAX_FORM_BYTES, batch_json, info_body, meta_body, read_body, read_form
from plumbing.http.exchange import ClientGone
from plumbing.http.refusal import Refusal
from tests.strategies import batch_of

META = Meta(count=5, expired=0, oldest=1_700_000_000_000_000_000, newest=1_700_000_001_000_000_000)


def test_an_answer_to_a_read_is_one_line() -> None:
    body = read_body(batch_of(Envelope(source_id="a", timestamp=1, log={"payload": b"x"})))

    assert body.endswith(b"\n")
    [envelope] = json.loads(body)["envelopes"]["batch"]
    assert (envelope["source_id"], envelope["timestamp"], envelope["log"]["payload"]) == ("a", "1", "eA==")


def test_a_large_batch_is_written_like_any_other() -> None:
    batch = batch_of(*[Envelope(source_id="a", timestamp=time, log={"payload": b"x" * 500}) for time in range(2500)])

    assert batch_json(batch) == kernel.json_batch(batch)


def test_nothing_is_an_empty_batch() -> None:
    assert json.loads(read_body(b"")) == {"envelopes": {"batch": []}}


def test_the_proxy_s_form_is_camel_case_without_zeros() -> None:
    assert json.loads(meta_body({"a": META}, as_proxy=True)) == {
        "meta": {
            "a": {"count": "5", "oldestTimestamp": "1700000000000000000", "newestTimestamp": "1700000001000000000"}
        }
    }


def test_the_gateway_s_form_has_the_proto_s_names_and_everything() -> None:
    assert json.loads(meta_body({"a": META}, as_proxy=False)) == {
        "meta": {
            "a": {
                "count": "5",
                "expired": "0",
                "oldest_timestamp": "1700000000000000000",
                "newest_timestamp": "1700000001000000000",
            }
        }
    }


@pytest.mark.parametrize(("as_proxy", "empty"), [(True, {}), (False, {"meta": {}})])
def test_without_sources_either_form_is_as_empty_as_it_can_be(as_proxy: bool, empty: Any) -> None:
    assert json.loads(meta_body({}, as_proxy=as_proxy)) == empty


def test_a_name_that_is_no_text_is_shown_as_far_as_it_is() -> None:
    assert list(json.loads(meta_body({"a\udcff": META}, as_proxy=True))["meta"]) == ["a\ufffd"]


def test_the_version_is_one_that_clients_know_paths_of() -> None:
    info = json.loads(info_body())

    assert tuple(int(part) for part in info["version"].split(".")) >= (2, 1, 0)
    assert int(info["vm_uptime"]) > 0
    assert info_body().endswith(b"\n")


async def form(*bodies: bytes, content_type: str | None = None, leaves: bool = False) -> bytes:
    messages: list[Any] = [{"type": "http.request", "body": body, "more_body": True} for body in bodies]
    messages.append({"type": "http.disconnect"} if leaves else {"type": "http.request", "body": b""})

    async def receive() -> Any:
        return messages.pop(0)

    return await read_form(Headers({"content-type": content_type} if content_type else {}), receive)


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded; charset=utf-8"])
async def test_a_form_may_come_in_pieces(content_type: str | None) -> None:
    assert await form(b"query=", b"up", content_type=content_type) == b"query=up"


@pytest.mark.parametrize(
    ("bodies", "content_type", "status"),
    [
        ([b"{}"], "application/json", 415),
        ([b"x"], "multipart/form-data; boundary=x", 415),
        ([b"x" * MAX_FORM_BYTES, b"x"], None, 413),
    ],
)
async def test_whatever_is_no_form_of_a_sensible_size_is_refused(
    bodies: Sequence[bytes], content_type: str | None, status: int
) -> None:
    with pytest.raises(Refusal) as caught:
        await form(*bodies, content_type=content_type)

    assert caught.value.status == status
    assert json.loads(caught.value.body)["errorType"] == "bad_data"


async def test_a_form_that_does_not_arrive_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    async def receive() -> Any:
        await trio.sleep_forever()

    with pytest.raises(Refusal) as caught:
        await read_form(Headers({}), receive)
    assert caught.value.status == 408


async def test_a_client_may_leave_before_it_has_asked() -> None:
    with pytest.raises(ClientGone):
        await form(b"query=", leaves=True)
