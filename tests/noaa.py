"""Take answers apart the way the client library `noaa` does (loggregator.md 3.1)."""

import re


def parts_of(content_type: str, body: bytes) -> list[bytes]:
    """Find the boundary by its expression, and return the parts, which have no headers."""
    match = re.search("boundary=(.*)", content_type)
    assert match, content_type
    delimiter = b"--" + match[1].encode()
    before, *parts, after = (b"\r\n" + body).split(b"\r\n" + delimiter)
    assert (before, after) == (b"", b"--\r\n")
    assert all(part.startswith(b"\r\n\r\n") for part in parts)
    return [part.removeprefix(b"\r\n\r\n") for part in parts]
