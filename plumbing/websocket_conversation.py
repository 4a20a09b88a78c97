"""One WebSocket as its client sees it: bytes in, messages and answers out. No I/O, no clock.

Whole binary frames are split off by the kernel; all else, from the handshake to the close, is given frame by frame to
the sans-I/O protocol of websockets, which takes 1.4 µs for each.
"""

from __future__ import annotations

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import CTRL_OPCODES, CloseCode, Frame
from websockets.protocol import CONNECTING, OPEN
from websockets.uri import WebSocketURI

from envelope import kernel

MAX_MESSAGE_BYTES = 64 << 20
_TRY_AGAIN = 429
_DENIED = (401, 403)


class StreamError(Exception):
    """There is no stream, or no longer one; `retry` tells whether the same request may do better later."""

    retry = True


class StreamUnavailable(StreamError):
    """The server was not reached, or gave no answer that makes sense."""


class StreamRefused(StreamError):
    """The server answered, and not with a stream."""

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(f"{answer or 'no reason given'} (HTTP {status})")
        self.status = status
        self.is_denied = status in _DENIED
        """Another token is needed."""
        self.retry = status >= 500 or status == _TRY_AGAIN


class StreamEnded(StreamError):
    """The stream was closed by one side or the other, or cut (code 1006)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the stream ended: {reason or 'no reason given'} (code {int(code)})")
        self.code = int(code)
        self.reason = reason


class Conversation:
    """Everything said on one connection, from the request on."""

    def __init__(self, uri: WebSocketURI, token: str) -> None:
        self._protocol = ClientProtocol(uri, max_size=MAX_MESSAGE_BYTES)
        request = self._protocol.connect()
        if token:
            request.headers["Authorization"] = f"bearer {token}"
        self._protocol.send_request(request)
        self._buffer = bytearray()
        self._enough = 0  # bytes that the buffer must hold before there is any use in looking at it
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
            return StreamEnded(CloseCode.PROTOCOL_ERROR, f"the server broke the protocol: {error}")
        return StreamEnded(CloseCode.NORMAL_CLOSURE, "this side closed it")

    def to_send(self) -> bytes:
        """Take what the server is to be sent now: the request, a pong, a close."""
        return b"".join(self._protocol.data_to_send())

    def ping(self) -> None:
        """Ask for a sign of life, in what `to_send` gives."""
        self._protocol.send_ping(b"")

    def close(self) -> None:
        """Say goodbye, unless somebody has, in what `to_send` gives."""
        if self.is_open:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)

    def receive(self, data: bytes | bytearray) -> list[bytes]:
        """Take what came from the server and return the messages that are whole now.

        Raises `StreamRefused` or `StreamUnavailable` when it answers the request with anything but yes.
        """
        if self._protocol.state is CONNECTING:
            data = self._hear_answer(data)
        if self.is_open:
            self._buffer += data
        if len(self._buffer) < self._enough:
            return []
        buffer, at = bytes(self._buffer), 0
        messages: list[bytes] = []
        if self.is_open and not self._fragments:
            messages, at = kernel.ws_payloads(buffer)
        while self.is_open:  # behind an odd frame they are taken one by one: what follows is not to be copied for each
            self._enough = _size_of_frame(buffer, at)
            if self._enough > len(buffer) - at:
                break
            frame = buffer[at : at + self._enough]
            whole, consumed = ([], 0) if self._fragments else kernel.ws_payloads(frame)
            messages += whole if consumed else self._odd_frame(frame)
            at += self._enough
        del self._buffer[:at]
        return messages

    def receive_end(self) -> StreamEnded:
        """Take the end of the connection and say how the stream ended; raises as `receive` does."""
        if self._protocol.state is CONNECTING:
            self._protocol.receive_eof()
            self._check_answer()
        return self.ended or StreamEnded(CloseCode.ABNORMAL_CLOSURE, "the connection was cut")

    def _hear_answer(self, data: bytes | bytearray) -> bytes:
        """Take the answer to the request and return what follows it; those may be frames already."""
        lines = data.splitlines(keepends=True)
        heard = 0
        while heard < len(lines) and self._protocol.state is CONNECTING:
            self._protocol.receive_data(lines[heard])
            heard += 1
        self._check_answer()
        return b"".join(lines[heard:])

    def _check_answer(self) -> None:
        error = self._protocol.handshake_exc
        if isinstance(error, InvalidStatus):
            body = bytes(error.response.body).decode("utf-8", "replace")
            raise StreamRefused(error.response.status_code, body.strip() or error.response.reason_phrase)
        if error is not None:
            cause = f": {error.__cause__}" if error.__cause__ else ""
            raise StreamUnavailable(f"no WebSocket there: {error}{cause}")

    def _odd_frame(self, frame: bytes) -> list[bytes]:
        """Take a frame that the kernel leaves alone; returns the message that it makes whole, if it does."""
        self._protocol.receive_data(frame)
        messages = []
        for event in self._protocol.events_received():
            if not isinstance(event, Frame) or event.opcode in CTRL_OPCODES:
                continue
            if event.data or not self._fragments:
                self._fragments.append(bytes(event.data))
            if event.fin:
                messages.append(b"".join(self._fragments))
                self._fragments.clear()
        return messages


def _size_of_frame(buffer: bytes, at: int) -> int:
    """Return how many bytes the frame at `at` has, or if that cannot be told yet, how many it has at least.

    A frame that the protocol will not take whatever its content ends with the buffer.
    """
    there = len(buffer) - at
    if there < 2:
        return 2
    extended = {126: 2, 127: 8}.get(buffer[at + 1], 0)
    if there < 2 + extended:
        return 2 + extended
    length = int.from_bytes(buffer[at + 2 : at + 2 + extended]) if extended else buffer[at + 1]
    masked = buffer[at + 1] > 127
    return there if masked or length > MAX_MESSAGE_BYTES else 2 + extended + length
