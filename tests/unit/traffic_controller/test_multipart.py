"""Bodies that `noaa` takes apart: an unquoted boundary, parts without headers."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tests.noaa import parts_of
from traffic_controller.multipart import answer_parts, join_parts


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_parts_come_back_as_they_were(parts: list[bytes]) -> None:
    answer = answer_parts(parts)

    assert parts_of(dict(answer.headers)["Content-Type"], answer.body) == parts


def test_the_body_is_that_of_the_original_to_the_byte() -> None:
    assert join_parts([b"one", b"two"], "b") == b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n"


def test_the_boundary_is_unquoted_and_another_each_time() -> None:
    one, other = (dict(answer_parts([]).headers)["Content-Type"] for _ in range(2))

    assert re.fullmatch(r"multipart/x-protobuf; boundary=[0-9a-f]{60}", one)
    assert one != other
