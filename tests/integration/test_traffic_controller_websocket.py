"""The WebSockets of a traffic controller, frame by frame (loggregator.md 3.1)."""

import pytest
import trio
from websockets.frames import Frame, Opcode

from tests import raw_http
from tests.noaa import Closed, WebSocket
from tests.running_controller import Controller


async def opened(controller: Controller, *headers: str) -> tuple[raw_http.Reply, WebSocket]:
    """Open a firehose; returns the answer to its handshake, and what speaks on."""
    stream = await controller.dial()
    token = f"Authorization: bearer {controller.token()}"
    reply = await raw_http.exchange(stream, raw_http.request("/firehose/s", raw_http.HANDSHAKE, token, *headers))
    return reply, WebSocket(stream, reply.rest)


async def test_any_origin_is_accepted_and_no_protocol_or_compression(controller: Controller) -> None:
    offers = (
        "Origin: https://elsewhere",
        "Sec-WebSocket-Protocol: v1, v2",
        "Sec-WebSocket-Extensions: permessage-deflate",
    )
    reply, socket = await opened(controller, *offers)
    await socket.close()

    assert reply.status == 101
    assert reply.lasting_headers == {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    }


async def test_a_client_is_pinged_at_once(controller: Controller) -> None:
    _, socket = await opened(controller)
    with trio.fail_after(5):
        assert (await socket.frame())[0] is Opcode.PING
    await socket.close()


@pytest.mark.parametrize("code", [1000, 1001, 4000])
async def test_a_goodbye_is_returned(controller: Controller, code: int) -> None:
    _, socket = await opened(controller)
    await socket.stream.send_all(Frame(Opcode.CLOSE, code.to_bytes(2, "big")).serialize(mask=True))

    with trio.fail_after(5), pytest.raises(Closed) as closed:
        await socket.message()
    assert closed.value.args == (code, "")


@pytest.mark.parametrize(
    "nonsense",
    [
        Frame(Opcode.BINARY, b"not masked").serialize(mask=False),
        b"\x93\x80mask",  # an opcode that there is not
        b"\xc2\x80mask",  # an extension that was not agreed on
        Frame(Opcode.CONT, b"of nothing").serialize(mask=True),
    ],
    ids=["unmasked", "opcode", "extension", "continuation"],
)
async def test_a_client_that_does_not_speak_the_protocol_is_told_so(controller: Controller, nonsense: bytes) -> None:
    _, socket = await opened(controller)
    await socket.stream.send_all(nonsense)

    with trio.fail_after(5), pytest.raises(Closed) as closed:
        await socket.message()
    assert closed.value.code == 1002
