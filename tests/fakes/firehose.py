"""The other end of a WebSocket: what a traffic controller answers, byte by byte."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import trio
import trio.testing
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

from envelope.websocket_frames import frame
from plumbing.websocket_reader import Source

Serve: TypeAlias = Callable[[trio.abc.Stream], Awaitable[object]]

OK = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
)


def agree(request: bytes) -> bytes:
    """Answer a request with yes."""
    match = re.search(rb"Sec-WebSocket-Key: (\S+)\r\n", request)
    assert match is not None
    return OK % accept_key(match[1].decode()).encode()


def refuse(status: str, body: str) -> bytes:
    """Answer a request with no."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


def ping(data: bytes = b"") -> bytes:
    return Frame(Opcode.PING, data).serialize(mask=False)


def close(code: int, reason: str = "") -> bytes:
    return Frame(Opcode.CLOSE, code.to_bytes(2) + reason.encode()).serialize(mask=False)


def fragments(pieces: Sequence[bytes], between: bytes = b"") -> bytes:
    """Make one message of several frames, with other (control) frames between them."""
    frames = [
        Frame(Opcode.CONT if index else Opcode.BINARY, piece, fin=index == len(pieces) - 1).serialize(mask=False)
        for index, piece in enumerate(pieces)
    ]
    return between.join(frames)


def messages(*payloads: bytes) -> bytes:
    """Make each payload one frame."""
    return b"".join(map(frame, payloads))


def said_by_client(data: bytes) -> list[Frame]:
    """Read the frames a client sent, masks taken off."""
    frames = []
    while data:
        length, mask, body = data[1] & 0x7F, data[2:6], data[6:]
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(body[:length]))
        frames.append(Frame(Opcode(data[0] & 0x0F), payload))
        data = body[length:]
    return frames


async def receive_request(stream: trio.abc.ReceiveStream) -> bytes:
    """Read a request to its end."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        chunk = await stream.receive_some()
        assert chunk
        request += chunk
    return request


def says(data: bytes, *, then: Serve | None = None) -> Serve:
    """Agree, say something in the same breath, and then hang up, or do something else."""

    async def serve(stream: trio.abc.Stream) -> None:
        await stream.send_all(agree(await receive_request(stream)) + data)
        if then is not None:
            await then(stream)
        await stream.aclose()

    return serve


async def hang_on(stream: trio.abc.Stream) -> None:
    """Say nothing more until the client says goodbye, or hangs up."""
    while chunk := await stream.receive_some():
        if any(frame.opcode is Opcode.CLOSE for frame in said_by_client(chunk)):
            return


class Servers:
    """In the place of `websocket_reader._dial`: answers each connection in memory, by the next of some scripts."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.dialled: list[Source] = []
        self.dialled_at: list[float] = []
        self.scripts: list[Serve | OSError] = []
        self._nursery = nursery

    async def dial(self, source: Source) -> trio.abc.Stream:
        self.dialled.append(source)
        self.dialled_at.append(trio.current_time())
        script = self.scripts.pop(0)
        if isinstance(script, OSError):
            raise script
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(script, theirs)
        return ours
