"""WebSocket frames around binary messages that no mask hides and no fragment splits (RFC 6455, section 5.2)."""

from struct import Struct

_FINAL_BINARY = 0x82
_UINT16 = Struct(">H")
_UINT64 = Struct(">Q")


def frame(payload: bytes) -> bytes:
    """Wrap a message as a server sends it: one final, unmasked binary frame with the shortest possible length."""
    size = len(payload)
    if size < 126:
        return bytes((_FINAL_BINARY, size)) + payload
    if size < 0x10000:
        return bytes((_FINAL_BINARY, 126)) + _UINT16.pack(size) + payload
    return bytes((_FINAL_BINARY, 127)) + _UINT64.pack(size) + payload


def ws_payloads(buffer: bytes) -> tuple[list[bytes], int]:
    """Split final, unmasked binary frames off the front of a buffer: (payloads, bytes consumed).

    Stops before an incomplete frame and before any other kind of frame (text, control, fragment, masked, extension
    bits). A length written longer than it need be is taken.
    """
    payloads: list[bytes] = []
    consumed, size = 0, len(buffer)
    while size - consumed >= 2 and buffer[consumed] == _FINAL_BINARY:
        start, length = consumed + 2, buffer[consumed + 1]
        if length == 126 and size - start >= 2:
            (length,) = _UINT16.unpack_from(buffer, start)
            start += 2
        elif length == 127 and size - start >= 8:
            (length,) = _UINT64.unpack_from(buffer, start)
            start += 8
        elif length > 125:  # masked, or the length itself is incomplete
            break
        if length > size - start:
            break
        consumed = start + length
        payloads.append(buffer[start:consumed])
    return payloads, consumed
