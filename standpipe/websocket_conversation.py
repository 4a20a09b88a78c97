"""One WebSocket as its client sees it: bytes in, messages and answers out. No I/O, no clock.

Whole binary frames are split off by the kernel; all else, from the handshake to the close, is given frame by frame to
the sans-I/O protocol of websockets, which takes 1.4 µs for each. Hot path: `benchmarks/pipeline.py`, row "reader".
"""

from __future__ import annotations

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import CLOSE, CTRL_OPCODES, CloseCode, Frame
from websockets.protocol import CONNECTING, OPEN
from websockets.uri import WebSocketURI

from envelope import kernel

MAX_MESSAGE_BYTES = 64 << 20
_MAX_HEAD_BYTES = 64 << 10
_END_OF_HEAD = b"\r\n\r\n"


class StreamError(Exception):
    """There is no stream, or no longer one; `retry` tells whether the same request may do better later."""

    retry = True


class StreamRefused(StreamError):
    """The server answered with something else than a stream."""

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(f"{answer or 'no reason given'} (HTTP {status})")
        self.status = status
        self.retry = status >= 500


class StreamEnded(StreamError):
    """The stream was closed, by either side, or cut (code 1006)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the stream ended: {reason or 'no reason given'} (code {code})")
        self.code = code
        self.reason = reason


class Conversation:
    """Everything said on one connection, from the request on."""

    def __init__(self, uri: WebSocketURI, token: str) -> None:
        self._protocol = ClientProtocol(uri, max_size=MAX_MESSAGE_BYTES)
        request = self._protocol.connect()
        request.headers["Authorization"] = f"bearer {token}"
        self._protocol.send_request(request)
        self._buffer = bytearray()
        self._enough = 0
        self._fragments: list[bytes] = []

    @property
    def is_open(self) -> bool:
        """Whether the server has agreed, and neither side has said goodbye."""
        return self._protocol.state is OPEN

    @property
    def ended(self) -> StreamEnded | None:
        """How the stream ended, if it has."""
        if self._protocol.state in (CONNECTING, OPEN):
            return None
        if (close := self._protocol.close_rcvd) is not None:
            return StreamEnded(close.code, close.reason)
        if (error := self._protocol.parser_exc) is not None:
            return StreamEnded(CloseCode.PROTOCOL_ERROR, str(error))
        return StreamEnded(CloseCode.NORMAL_CLOSURE, "closed by this reader")

    def to_send(self) -> bytes:
        """Take what the server is to be sent now: the request, a pong, a close."""
        return b"".join(self._protocol.data_to_send())

    def ping(self) -> None:
        """Ask for a sign of life; `to_send` has it."""
        self._protocol.send_ping(b"")

    def close(self) -> None:
        """Say goodbye, if nobody has yet; `to_send` has it."""
        if self.is_open:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)

    def receive(self, data: bytes) -> list[bytes]:
        """Take what came from the server and return the messages that are whole now.

        Raises `StreamRefused` if it was the answer to the request and no agreement.
        """
        self._buffer += data
        if len(self._buffer) < self._enough or self.ended:
            return []
        buffer = bytes(self._buffer)
        at = self._answer(buffer) if self._protocol.state is CONNECTING else 0
        messages: list[bytes] = []
        while self.is_open:
            if not self._fragments:
                whole, consumed = kernel.ws_payloads(buffer[at:] if at else buffer)
                messages += whole
                at += consumed
            self._enough = _size_of_frame(buffer, at)
            if self._enough > len(buffer) - at:
                break
            messages += self._odd_frame(buffer[at : at + self._enough])
            at += self._enough
        del self._buffer[:at]
        return messages

    def _answer(self, buffer: bytes) -> int:
        """Take the answer to the request, once it is there; what follows it may be frames already."""
        at = buffer.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        if at < len(_END_OF_HEAD):
            if len(buffer) > _MAX_HEAD_BYTES:
                raise StreamRefused(0, "the server does not speak HTTP")
            return 0
        self._protocol.receive_data(buffer[:at])
        if self._protocol.state is CONNECTING and len(buffer) > at:
            self._protocol.receive_data(buffer[at:])  # the body of a refusal
            at = len(buffer)
        self._check_answer()
        return at

    def end(self) -> StreamEnded:
        """Take the end of the connection; says how the stream ended. Raises `StreamRefused` like `receive`."""
        if self._protocol.state is CONNECTING:
            self._protocol.receive_data(bytes(self._buffer))
            self._protocol.receive_eof()
            self._check_answer()
        return self.ended or StreamEnded(CloseCode.ABNORMAL_CLOSURE, "the connection was cut")

    def _check_answer(self) -> None:
        error = self._protocol.handshake_exc
        if isinstance(error, InvalidStatus):
            body = bytes(error.response.body).decode("utf-8", "replace")
            raise StreamRefused(error.response.status_code, body.strip() or error.response.reason_phrase)
        if error is not None:
            raise StreamRefused(0, str(error))

    def _odd_frame(self, frame: bytes) -> list[bytes]:
        """Take a frame that the kernel has no eye for; returns the message it completes, if it does."""
        self._protocol.receive_data(frame)
        messages = []
        for event in self._protocol.events_received():
            if not isinstance(event, Frame) or event.opcode in CTRL_OPCODES:
                continue
            self._fragments.append(bytes(event.data))
            if event.fin:
                messages.append(b"".join(self._fragments))
                self._fragments.clear()
        return messages


def _size_of_frame(buffer: bytes, at: int) -> int:
    """Return how many bytes from `at` on the next frame has, or at least how many it takes to tell."""
    if len(buffer) - at < 2:
        return 2
    length, start = buffer[at + 1], at + 2
    extended = {126: 2, 127: 8}.get(length & 0x7F, 0)
    if len(buffer) - start < extended:
        return 2 + extended
    if extended:
        length = int.from_bytes(buffer[start : start + extended])
    ...
