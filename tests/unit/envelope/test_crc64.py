import pytest

from envelope.crc64 import crc64


@pytest.mark.parametrize(
    ("text", "checksum"),
    [
        (b"123456789", 0x995DC9BBDF1939FA),  # the polynomial's published check value
        (b"", 0),
        (b"a", 0x330284772E652B05),
    ],
)
def test_is_the_checksum_that_go_computes(text: bytes, checksum: int) -> None:
    assert crc64(text) == checksum
