"""A WebSocket without a network: every message comes out whole, wherever the bytes were cut."""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.uri import WebSocketURI

from envelope import kernel
from plumbing.websocket_conversation import (
    MAX_MESSAGE_BYTES,
    Conversation,
    StreamEnded,
    StreamRefused,
    StreamUnavailable,
)
from tests.fakes.firehose import agree, close, fragments, messages, ping, refuse, said_by_client

URI = WebSocketURI(True, "127.0.0.1", 8081, "/firehose/f", "filter-type=logs")


class Opened(NamedTuple):
    conversation: Conversation
    agreement: bytes


def begin() -> Opened:
    conversation = Conversation(URI, "a-token")
    return Opened(conversation, agree(conversation.to_send()))


def opened() -> Conversation:
    conversation, agreement = begin()
    assert conversation.receive(agreement) == []
    return conversation


def hear(conversation: Conversation, chunks: Iterable[bytes]) -> list[bytes]:
    return [message for chunk in chunks for message in conversation.receive(chunk)]


def cut(data: bytes, at: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


payloads = st.binary(max_size=300)
cuts = st.lists(st.integers(0, 10_000), max_size=12)


class Said(NamedTuple):
    """Bytes of a server, the messages in them and the pings."""

    data: bytes
    messages: list[bytes]
    pings: list[bytes]


whole = payloads.map(lambda payload: Said(messages(payload), [payload], []))
pings = st.binary(max_size=125).map(lambda data: Said(ping(data), [], [data]))
in_pieces = st.builds(
    lambda pieces, data: Said(fragments(pieces, ping(data)), [b"".join(pieces)], [data] * (len(pieces) - 1)),
    st.lists(payloads, min_size=2, max_size=4),
    st.binary(max_size=5),
)
servers = st.lists(whole | pings | in_pieces, max_size=8)


# --- the request and its answer -------------------------------------------------------------------------------------


def test_the_request_shows_the_token_and_offers_no_compression() -> None:
    request = Conversation(URI, "a-token").to_send()
    assert request.startswith(b"GET /firehose/f?filter-type=logs HTTP/1.1\r\n")
    assert b"\r\nAuthorization: bearer a-token\r\n" in request
    assert b"Extensions" not in request


def test_a_refusal_says_what_the_server_said() -> None:
    conversation = begin().conversation
    with pytest.raises(StreamRefused, match=r"You are not authorized\. invalid authorization \(HTTP 401\)") as refusal:
        conversation.receive(refuse("401 Unauthorized", "You are not authorized. invalid authorization\n"))
    assert (refusal.value.status, refusal.value.retry) == (401, False)


@given(at=cuts)
def test_a_refusal_is_understood_wherever_it_is_cut(at: list[int]) -> None:
    conversation = begin().conversation
    with pytest.raises(StreamRefused, match="404 page not found"):
        hear(conversation, cut(refuse("404 Not Found", "404 page not found\n\nreally\n"), at))


def test_a_server_that_is_full_may_be_asked_again() -> None:
    with pytest.raises(StreamRefused) as refusal:
        begin().conversation.receive(refuse("503 Service Unavailable", "too many readers"))
    assert refusal.value.retry


def test_a_refusal_without_a_word_is_named_by_its_status() -> None:
    with pytest.raises(StreamRefused, match=r"Not Found \(HTTP 404\)"):
        begin().conversation.receive(refuse("404 Not Found", ""))


def test_an_agreement_to_another_key_is_none() -> None:
    with pytest.raises(StreamUnavailable, match="Sec-WebSocket-Accept"):
        begin().conversation.receive(begin().agreement)


def test_what_is_no_http_is_no_websocket() -> None:
    with pytest.raises(StreamUnavailable, match="no WebSocket there"):
        begin().conversation.receive(b"SSH-2.0-OpenSSH_9.6\r\n")


def test_an_end_before_the_answer_is_no_websocket() -> None:
    conversation = begin().conversation
    conversation.receive(b"HTTP/1.1 101 Swit")
    with pytest.raises(StreamUnavailable, match="connection closed"):
        conversation.receive_end()


# --- messages -------------------------------------------------------------------------------------------------------


@given(said=servers, at=cuts)
def test_every_message_comes_once_and_in_order_wherever_the_bytes_are_cut(said: list[Said], at: list[int]) -> None:
    conversation, agreement = begin()
    data = agreement + b"".join(each.data for each in said)
    assert hear(conversation, cut(data, at)) == [message for each in said for message in each.messages]
    assert conversation.is_open


@given(said=servers, at=cuts)
def test_every_ping_is_answered_with_its_own_data(said: list[Said], at: list[int]) -> None:
    conversation = opened()
    hear(conversation, cut(b"".join(each.data for each in said), at))
    pongs = said_by_client(conversation.to_send())
    assert {frame.opcode for frame in pongs} <= {Opcode.PONG}
    assert [frame.data for frame in pongs] == [data for each in said for data in each.pings]


def test_byte_by_byte_nothing_is_lost() -> None:
    conversation, agreement = begin()
    data = (
        agreement + messages(b"", b"a", b"b" * 126) + ping(b"p") + fragments([b"c", b"", b"d"], ping()) + messages(b"e")
    )
    heard = hear(conversation, [data[at : at + 1] for at in range(len(data))])
    assert heard == [b"", b"a", b"b" * 126, b"cd", b"e"]


def test_many_pings_at_once_cost_no_more_than_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0

    def watched(buffer: bytes) -> tuple[list[bytes], int]:
        nonlocal looked
        looked += len(buffer)
        return ws_payloads(buffer)

    ws_payloads = kernel.ws_payloads
    monkeypatch.setattr(kernel, "ws_payloads", watched)
    data = (ping(b"") + messages(b"x")) * 1000

    assert opened().receive(data) == [b"x"] * 1000
    assert looked <= 3 * len(data)


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536, 1 << 20])
def test_a_length_of_any_form_is_understood(size: int) -> None:
    data = messages(b"x" * size, b"next")
    for split_at in (1, 2, 3, 5, 9, 10, 11):
        assert hear(opened(), [data[:split_at], data[split_at:]]) == [b"x" * size, b"next"]


def test_a_text_message_is_a_message_too() -> None:
    assert opened().receive(b"\x81\x02hi") == [b"hi"]


def test_messages_may_come_in_the_same_packet_as_the_agreement() -> None:
    conversation, agreement = begin()
    assert conversation.receive(agreement + messages(b"first", b"second")) == [b"first", b"second"]


# --- the end --------------------------------------------------------------------------------------------------------


def test_messages_before_a_close_arrive_and_those_after_it_do_not() -> None:
    conversation = opened()
    assert conversation.receive(messages(b"last") + close(1008, "too slow") + messages(b"never")) == [b"last"]
    ended = conversation.ended
    assert ended is not None
    assert (ended.code, ended.reason) == (1008, "too slow")


def test_a_close_is_answered_with_the_same_code() -> None:
    conversation = opened()
    conversation.receive(close(1001, "going away"))
    assert [(f.opcode, f.data[:2]) for f in said_by_client(conversation.to_send())] == [(Opcode.CLOSE, b"\x03\xe9")]


def test_a_close_without_a_code_is_an_end() -> None:
    conversation = opened()
    conversation.receive(b"\x88\x00")
    assert conversation.ended is not None
    assert "no reason given (code 1005)" in str(conversation.ended)


def test_an_open_stream_has_not_ended() -> None:
    assert opened().ended is None
    assert begin().conversation.ended is None


def test_a_connection_that_is_cut_ends_with_1006() -> None:
    assert opened().receive_end().code == 1006


def test_the_end_of_the_connection_after_a_close_is_that_close() -> None:
    conversation = opened()
    conversation.receive(close(1000))
    assert conversation.receive_end().code == 1000


def test_closing_says_goodbye_once() -> None:
    conversation = opened()
    conversation.close()
    conversation.close()
    assert [frame.data for frame in said_by_client(conversation.to_send())] == [b"\x03\xe8"]
    assert conversation.receive(messages(b"late")) == []
    assert isinstance(conversation.ended, StreamEnded)


def test_asking_for_a_sign_of_life_is_a_ping() -> None:
    conversation = opened()
    conversation.ping()
    assert [frame.opcode for frame in said_by_client(conversation.to_send())] == [Opcode.PING]


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param(b"\x82\x81mask!", id="a mask, which only clients have"),
        pytest.param(b"\xc2\x01x", id="a bit of an extension"),
        pytest.param(b"\x83\x01x", id="an unknown kind of frame"),
        pytest.param(b"\x80\x01x", id="the continuation of nothing"),
        pytest.param(b"\x09\x01x", id="a ping in pieces"),
        pytest.param(b"\x88\x01x", id="half a close code"),
        pytest.param(fragments([b"a", b"b"])[:3] + messages(b"c"), id="a message within a message"),
    ],
)
def test_what_breaks_the_protocol_ends_the_stream(nonsense: bytes) -> None:
    conversation = opened()
    assert conversation.receive(messages(b"before") + nonsense + messages(b"after")) == [b"before"]
    assert conversation.ended is not None
    assert "broke the protocol" in str(conversation.ended)


def test_pieces_of_nothing_take_no_room() -> None:
    conversation = opened()
    for _ in range(3):
        conversation.receive(fragments([b"", *[b""] * 500, b"a"])[:-3])  # the last piece does not come
        assert len(conversation._fragments) <= 2
        assert conversation.receive(b"\x80\x01a") == [b"a"]


def test_a_message_beyond_all_measure_ends_the_stream_at_once() -> None:
    conversation = opened()
    conversation.receive(b"\x82\x7f" + (MAX_MESSAGE_BYTES + 1).to_bytes(8))
    assert said_by_client(conversation.to_send())[0].data[:2] == (1009).to_bytes(2)
