"""CRC-64 with the ECMA-182 polynomial, bit-reversed, as Go's `crc64.MakeTable(crc64.ECMA)` computes it."""

_POLYNOMIAL = 0xC96C5795D7870F42
_ALL_ONES = 0xFFFFFFFFFFFFFFFF


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(_table_entry(byte) for byte in range(256))


def crc64(text: bytes) -> int:
    """Return the checksum, an unsigned 64-bit integer."""
    crc = _ALL_ONES
    for byte in text:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ _ALL_ONES
