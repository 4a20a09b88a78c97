"""UUIDs as text and as dropsonde's two integers: `low` is the first eight bytes, little-endian, `high` the rest."""

from struct import Struct

_LOW_HIGH = Struct("<QQ")
_HEX_PARTS = (slice(0, 8), slice(9, 13), slice(14, 18), slice(19, 23), slice(24, 36))
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


def parse(text: str) -> tuple[int, int] | None:
    """Return (low, high), or None for what is not a UUID: 36 bytes, hexadecimal in either case around four separators.

    As in the original any one-byte separator will do.
    """
    if len(text) != 36 or not text.isascii():
        return None
    digits = "".join(text[part] for part in _HEX_PARTS)
    if not _HEX_DIGITS.issuperset(digits):
        return None
    low, high = _LOW_HIGH.unpack(bytes.fromhex(digits))
    return low, high


def text_of(low: int, high: int) -> str:
    """Write a UUID in lower case, 8-4-4-4-12."""
    digits = _LOW_HIGH.pack(low, high).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
